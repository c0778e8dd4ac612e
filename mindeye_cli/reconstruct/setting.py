"""What a reconstruction must know before it starts, checked: runs, decoder, brain, plan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.core.fingerprint import of_file, of_json
from mindeye_cli.core.run_subjects import subject_of_run
from mindeye_cli.core.runs import MODEL, RunInfo, differs, read_run
from mindeye_cli.core.trials import refuse_trained_images
from mindeye_cli.models.decoders.load import decoder_files
from mindeye_cli.models.decoders.registry import WITHOUT_GENERATOR, decoder_facts
from mindeye_cli.models.encoders import load_encoder
from mindeye_cli.reconstruct.conditions import Brain, load_brain
from mindeye_cli.reconstruct.options import Options
from mindeye_cli.reconstruct.plan import Plan, batch_items, make_items, select
from mindeye_store.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Setting:
    """A checked request: the options with every default filled in.

    Attributes
    ----------
    sampling : dict
        `steps`, `guidance`, `strength` that will be used.
    """

    options: Options
    store: Any
    subject: Any
    brain: Brain
    plan: Plan
    sampling: dict[str, Any]


def open_setting(store: Any, options: Options) -> Setting:
    """Check the request against the store and the runs, and make its plan.

    Raises
    ------
    InvalidInput
        A run of the wrong kind, SPACE, voxels or encoder, or trained on what is to be
        reconstructed; ids that the split lacks.
    MissingResource
        The generator's weights are absent.
    UsageProblem
        No such decoder; which of the runs' subjects is not said, or a run has none of that name.
    """
    runs: dict[str, RunInfo] = {}
    if options.high is not None:
        runs["high"] = _checked(options.high, ("high-level", "ridge"), "--high")
    if options.low is not None:
        runs["low"] = _checked(options.low, ("low-level",), "--low")
    sampling = _sampling(options, runs)
    subject = _subject(store, options, runs)
    _check_encoder(store, options, runs)
    brain = load_brain(store, subject, options)
    plan = _plan(store, options, brain, subject, runs, sampling)
    wanted = np.array([item.image_row for item in plan.items], dtype=np.int64)
    for name, run in runs.items():
        refuse_trained_images(getattr(options, name), run, options.split, wanted)
    return Setting(options, store, subject, brain, plan, sampling)


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


def _sampling(options: Options, runs: dict[str, RunInfo]) -> dict[str, Any]:
    """Fill in the decoder's defaults and check that the runs are in its spaces."""
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


def _short(space: str) -> str:
    """A space's name without its output where that is the usual one, the pooled vector."""
    return space.removesuffix(":pooled")


def _check_encoder(store: Any, options: Options, runs: dict[str, RunInfo]) -> None:
    """The run's embedding is compared with others: all must come from one encoder."""
    if options.decoder == "nearest":
        found = str(store.target(runs["high"].space).attrs["fingerprint"])
    elif options.decoder not in WITHOUT_GENERATOR and options.candidates > 1:
        found = load_encoder(runs["high"].space).fingerprint
    else:
        return
    if differs(runs["high"].targets, found, f"encoder of {runs['high'].space}"):
        raise InvalidInput(
            f"the run was trained on {runs['high'].space} of another encoder"
            f" ({runs['high'].targets[:12]}) than the one here ({found[:12]})",
            where="--high",
            fix="prepare the targets and train the run again, or give --candidates 1",
        )


def _weights(options: Options, runs: dict[str, RunInfo]) -> str | None:
    """Fingerprint of the decoder's files, so that other weights are another reconstruction."""
    space = runs["low"].space if "low" in runs else None
    files = decoder_files(options.decoder, options.weights, space)
    return of_json({name: of_file(path) for name, path in files.items()}) if files else None


def _subject(store: Any, options: Options, runs: dict[str, RunInfo]) -> Any:
    """The subject that all runs were trained on; a run of one decides for a run of several."""
    subject, name = None, options.subject
    for level, run in sorted(runs.items(), key=lambda item: len(item[1].subjects)):
        subject = subject_of_run(store, getattr(options, level), run, name)
        name = subject.name
    return subject


def _plan(
    store: Any,
    options: Options,
    brain: Brain,
    subject: Any,
    runs: dict[str, RunInfo],
    sampling: dict[str, Any],
) -> Plan:
    ids = store.images.ids
    image_rows = sorted(brain.trials)
    chosen = [image_rows[k] for k in select(options, [ids[row] for row in image_rows])]
    pairs: list[tuple[int, int | None]] = [(row, None) for row in chosen]
    if options.average == "none":
        pairs = [(row, int(trial)) for row in chosen for trial in brain.trials[row]]
    candidates = 1 if options.decoder in WITHOUT_GENERATOR else options.candidates
    items = make_items(
        [ids[row] for row, _ in pairs],
        [row for row, _ in pairs],
        [trial for _, trial in pairs],
        candidates=candidates,
        seed=options.seed,
    )
    settings = {
        "decoder": options.decoder,
        **sampling,
        "candidates": candidates,
        "average": options.average,
        "control": options.control,
        "split": options.split,
        "subject": subject.name,
        "responses": subject.fingerprint,
        "weights": _weights(options, runs),
        "seed": options.seed,
        "runs": {name: _identity(run, options, name) for name, run in runs.items()},
    }
    return Plan(items, batch_items(candidates), settings)


def _identity(run: RunInfo, options: Options, name: str) -> dict[str, Any]:
    folder = options.high if name == "high" else options.low
    assert folder is not None  # it has been read
    return {
        "kind": run.kind,
        "space": run.space,
        "seed": run.seed,
        "targets": run.targets,
        "model_sha256": of_file(folder / MODEL),
    }
