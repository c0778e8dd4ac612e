"""What a reconstruction must know before it starts, checked: runs, decoder, brain, plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mindeye_cli.core.fingerprint import of_file, of_json
from mindeye_cli.core.run_subjects import subject_of_run
from mindeye_cli.core.runs import RunInfo
from mindeye_cli.core.trials import refuse_trained_images
from mindeye_cli.models.decoders.fitting import check_fit
from mindeye_cli.models.decoders.load import decoder_files
from mindeye_cli.models.decoders.registry import WITHOUT_GENERATOR
from mindeye_cli.reconstruct.areas import readout_settings
from mindeye_cli.reconstruct.checks import (
    check_encoder,
    folder_of,
    identity,
    open_runs,
    prior_of,
    sampling_of,
)
from mindeye_cli.reconstruct.conditions import Brain, load_brain
from mindeye_cli.reconstruct.memory import items_a_batch, pictures_a_batch
from mindeye_cli.reconstruct.options import Options
from mindeye_cli.reconstruct.outside_checks import check_index
from mindeye_cli.reconstruct.plan import Plan, make_items, select
from mindeye_cli.reconstruct.rounding import rounding_here


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
        reconstructed; ids that the split lacks; areas that the subject lacks.
    MissingResource
        The generator's weights are absent.
    UsageProblem
        No such decoder; which of the runs' subjects is not said, or a run has none of that name.
    """
    runs = open_runs(options)
    sampling = sampling_of(options, runs)
    subject = _subject(store, options, runs)
    check_encoder(store, options, runs)
    brain = load_brain(store, subject, options)
    plan = _plan(store, options, brain, subject, runs, sampling)
    wanted = np.array([item.image_row for item in plan.items], dtype=np.int64)
    for name, run in runs.items():
        refuse_trained_images(folder_of(options, name), run, options.split, wanted, store)
    return Setting(options, store, subject, brain, plan, sampling)


def _subject(store: Any, options: Options, runs: dict[str, RunInfo]) -> Any:
    """The subject that all runs were trained on; a run of one decides for a run of several."""
    subject, name = None, options.subject
    for level, run in sorted(runs.items(), key=lambda item: len(item[1].subjects)):
        subject = subject_of_run(store, folder_of(options, level), run, name)
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
    several = options.decoder not in WITHOUT_GENERATOR or "rerank" in runs
    candidates = options.candidates if several else 1
    items = make_items(
        [ids[row] for row, _ in pairs],
        [row for row, _ in pairs],
        [trial for _, trial in pairs],
        candidates=candidates,
        seed=options.seed,
    )
    space = runs["low"].space if "low" in runs else None
    files = decoder_files(options.decoder, options.weights, space)
    if options.decoder not in WITHOUT_GENERATOR:
        shapes = {name: tuple(run.details["target_shape"]) for name, run in runs.items()}
        check_fit(options.decoder, files, shapes["high"], shapes.get("low"))
    hashes = {name: of_file(path) for name, path in files.items()}
    settings = {
        "decoder": options.decoder,
        **sampling,
        "prior": prior_of(options, runs),
        "candidates": candidates,
        "keep_candidates": options.keep_candidates,
        "average": options.average,
        "control": options.control,
        **readout_settings(subject, options, brain.kept),
        "split": options.split,
        "subject": subject.name,
        "responses": subject.fingerprint,
        "weights": of_json(hashes) if hashes else None,
        "seed": options.seed,
        "runs": {name: identity(run, options, name) for name, run in runs.items()},
    }
    if options.outside is not None:
        settings["index"] = check_index(options.outside, runs["high"])
    pictures = pictures_a_batch(files)
    size = items_a_batch(len(items), candidates, pictures, options.part[1])
    return Plan(items, rounding_here(size, pictures), settings)
