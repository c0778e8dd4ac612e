"""Whether runs, decoder and prior fit each other, with every default filled in."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from mindeye_cli.core.fingerprint import of_file
from mindeye_cli.core.runs import CONFIG, MODEL, RunInfo, differs, read_run
from mindeye_cli.models.decoders.registry import WITHOUT_GENERATOR, decoder_facts
from mindeye_cli.models.encoders import load_encoder
from mindeye_cli.models.prior.diffusion import noise_schedule
from mindeye_cli.models.running import pick_device
from mindeye_cli.reconstruct.ceiling import CEILING, check_targets
from mindeye_cli.reconstruct.options import Options, PriorSampling
from mindeye_store.errors import InvalidInput, UsageProblem


def open_runs(options: Options) -> dict[str, RunInfo]:
    """What is known of the runs, `high`, `low` and `rerank`.

    Raises
    ------
    InvalidInput
        A run of the wrong kind, or one that has not finished.
    MissingResource
        There is no such run.
    """
    runs: dict[str, RunInfo] = {}
    if options.high is not None:
        runs["high"] = _checked(options.high, ("high-level", "ridge"), "--high")
    if options.low is not None:
        runs["low"] = _checked(options.low, ("low-level",), "--low")
    if options.outside is not None and options.outside.rerank is not None:
        runs["rerank"] = _checked(options.outside.rerank, ("high-level", "ridge"), "--rerank")
    return runs


def _checked(path: Path, kinds: tuple[str, ...], option: str) -> RunInfo:
    run = read_run(path)
    if run.kind not in kinds:
        raise InvalidInput(
            f"{option} takes a run of kind {' or '.join(kinds)}, this one is {run.kind}",
            where=str(path),
            fix=f"mindeye train {kinds[0]} STORE RUN ...",
        )
    if run.status != "finished":
        raise InvalidInput(
            "the run has not finished training",
            where=str(path),
            fix=f"mindeye train {run.kind} STORE {path} --resume auto ...",
        )
    return run


def sampling_of(options: Options, runs: dict[str, RunInfo]) -> dict[str, Any]:
    """Fill in the decoder's defaults and check that the runs are in its spaces.

    Returns
    -------
    dict
        `steps`, `guidance`, `strength`; None each without a generator.

    Raises
    ------
    InvalidInput
        A run of another SPACE, or a latent for a decoder that takes none.
    UsageProblem
        No such decoder, or one part of the generator is to leave a device that is not there.
    """
    if options.details.memory.offload and pick_device().type == "cpu":
        raise UsageProblem(
            "there is no accelerator whose memory could be saved",
            where="memory.offload",
            fix="leave it out; memory.slicing works on a CPU",
        )
    if options.decoder in WITHOUT_GENERATOR:
        return {"steps": None, "guidance": None, "strength": None}
    facts = decoder_facts(options.decoder)
    if "low" in runs and facts.latent_space is None:
        raise InvalidInput(
            f"decoder {options.decoder} takes no initial latent",
            where="--low",
            fix="leave --low out, or choose a decoder that takes one (docs/decoders.md)",
        )
    for name, space in (("high", facts.space), ("low", str(facts.latent_space))):
        if name in runs and _short(runs[name].space) != _short(space):
            level = "high-level" if name == "high" else "low-level"
            raise InvalidInput(
                f"decoder {options.decoder} takes {space}, the run predicts {runs[name].space}",
                where=f"--{name}",
                fix=f"mindeye train {level} STORE RUN --space {space}",
            )
    strength = facts.defaults.strength if options.strength is None else options.strength
    return {
        "steps": options.steps or facts.defaults.steps,
        "guidance": facts.defaults.guidance if options.guidance is None else options.guidance,
        "strength": strength if "low" in runs else 1.0,
    }


def prior_of(options: Options, runs: dict[str, RunInfo]) -> dict[str, int] | None:
    """Steps and draws of the prior; None where none is sampled.

    Raises
    ------
    UsageProblem
        The steps do not divide the prior's schedule, or there is no prior.
    """
    asked = options.details.prior
    used = options.decoder not in WITHOUT_GENERATOR and runs["high"].kind == "high-level"
    used = used and options.control != CEILING
    if not used:
        if asked != PriorSampling():
            raise UsageProblem("no prior is sampled here", where="prior", fix="leave it out")
        return None
    assert options.high is not None  # it has been read
    file = options.high / CONFIG
    try:
        config = tomllib.loads(file.read_text(encoding="utf-8"))
        timesteps = int(config["model"]["prior"]["timesteps"])
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError) as problem:
        raise InvalidInput(f"no configuration of a prior: {problem}", where=str(file)) from problem
    noise_schedule(timesteps, asked.steps or None)
    return {"steps": asked.steps or timesteps, "samples": asked.samples}


def _short(space: str) -> str:
    """A space's name without its output where that is the usual one, the pooled vector."""
    return space.removesuffix(":pooled")


def check_encoder(store: Any, options: Options, runs: dict[str, RunInfo]) -> None:
    """The run's embedding is compared with others: all must come from one encoder."""
    if options.control == CEILING:
        for name, run in runs.items():
            check_targets(store, run, getattr(options, name))
    name = "rerank" if "rerank" in runs else "high"
    drawn = options.decoder not in WITHOUT_GENERATOR and options.candidates > 1
    if options.decoder == "nearest" and options.outside is None:
        found = str(store.target(runs["high"].space).attrs["fingerprint"])
    elif drawn or name == "rerank":
        found = load_encoder(runs[name].space).fingerprint
    else:
        return
    run = runs[name]
    if differs(run.targets, found, f"encoder of {run.space}"):
        raise InvalidInput(
            f"the run was trained on {run.space} of another encoder"
            f" ({run.targets[:12]}) than the one here ({found[:12]})",
            where=f"--{name}",
            fix="prepare the targets and train the run again, or give --candidates 1",
        )


def identity(run: RunInfo, options: Options, name: str) -> dict[str, Any]:
    """What tells a run from all others."""
    return {
        "kind": run.kind,
        "space": run.space,
        "seed": run.seed,
        "targets": run.targets,
        "model_sha256": of_file(folder_of(options, name) / MODEL),
        **({"shuffled": True} if run.details.get("shuffled") else {}),
    }


def folder_of(options: Options, name: str) -> Path:
    """Where the run `high`, `low` or `rerank` lies."""
    given = options.outside if name == "rerank" else options
    folder: Path | None = getattr(given, name)
    assert folder is not None  # it has been read
    return folder
