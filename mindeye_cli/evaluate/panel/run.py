"""`mindeye evaluate --panel`: put the generalisation panel together.

What a reconstruction does not tell is left out with the reason, and the command that mends it, in
`skipped`: other people's pictures have no RUN, so they have quartiles and a copy rate and no
bottleneck curve.

Shapes: `n` entries, `G` distinct images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.core import stats
from mindeye_cli.core.clusters import pooled, vectors
from mindeye_cli.core.trials import Split, average_trials, image_trials, training_trials
from mindeye_cli.evaluate.panel import brains, novelty, predictions
from mindeye_cli.evaluate.panel.brains import Brain, Setting
from mindeye_cli.evaluate.pictures import Pictures
from mindeye_cli.evaluate.sources import Folder
from mindeye_cli.models.encoders import load_encoder
from mindeye_store import open_store
from mindeye_store.errors import MindeyeError, MissingResource, UsageProblem

# Predictions with a smaller share of the truth's effective rank have collapsed.
COLLAPSED = 0.3
# Responses that a bottleneck is fitted to: more cost memory and change the first few little.
MOST_FITTED = 1000
OF_RUN = ("training", "effective_rank", "single_trial", "bottleneck")
SESSIONS = (
    "one number of training sessions makes no curve: train a run with --set data.sessions=N (ridge:"
    " sessions=N) and add --run RUN"
)
CLUSTERS = (
    "no run has left a cluster out: train one with --set data.hold_out=1/8 (ridge: hold_out=1/8)"
    " and add --run RUN"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What the panel looks at: a scored reconstruction, its controls, their store, more runs."""

    folder: Folder
    store: Path
    recons: Pictures
    controls: Mapping[str, Pictures]
    lines: Mapping[str, Any]
    runs: tuple[Path, ...] = ()
    seed: int = 0


def panel(sheet: Sheet) -> dict[str, Any]:
    """The whole panel.

    Parameters
    ----------
    sheet : Sheet

    Returns
    -------
    dict
        `subject`, `space`, `novelty`, `copy_rate`, `training`, `effective_rank`, `single_trial`,
        `bottleneck`, `runs`, `sessions`, `held_out_cluster`, and `skipped` (name to reason) for
        what is not there.

    Raises
    ------
    InvalidInput, MissingResource, UsageProblem
        The store has no such subject or no complete target space, or one of `runs` does not fit.
    """
    setting = _setting(sheet)
    skipped: dict[str, str] = {}
    drawn: Brain | None = None
    try:
        drawn = brains.drawn_from(sheet.folder, setting)
    except MindeyeError as problem:
        skipped.update(dict.fromkeys(OF_RUN, str(problem)))
    found = _of_pictures(sheet, setting, drawn, skipped)
    if drawn is not None:
        found |= _of_run(drawn, setting, sheet.seed)
    known = {} if drawn is None else {drawn.path.resolve(): drawn}
    for path in sheet.runs:
        known.setdefault(path.resolve(), brains.open_brain(path, setting))
    found |= _of_runs(list(known.values()), setting, skipped)
    if drawn is not None and drawn.held_out[0]:
        found["held_out_pictures"] = _held_out_pictures(drawn, setting, sheet)
    return {**found, "skipped": skipped}


def panel_warnings(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """What in a panel a reader must not miss."""
    warnings = []
    rank, seen = found.get("effective_rank"), found.get("novelty", {}).get("trained_on", 0)
    if seen:
        message = f"{seen} of the reconstructed images were trained on: no score of them is a test"
        warnings.append({"code": "trained-on", "message": message})
    if rank is not None and rank["ratio"] < COLLAPSED:
        message = (
            f"predictions have an effective rank of {rank['predicted']['effective_rank']:.1f}, the"
            f" true embeddings one of {rank['true']['effective_rank']:.1f}: the model names few"
            " directions"
        )
        warnings.append({"code": "rank-collapsed", "message": message})
    return warnings


def _setting(sheet: Sheet) -> Setting:
    store, manifest = open_store(sheet.store), sheet.folder.manifest or {}
    subject = _subject(store, manifest)
    split: Split = "train" if manifest.get("split") == "train" else "test"
    rows = [store.images.rows[image] for image in sheet.recons.ids]
    trials = image_trials(subject, split)
    trials = trials.take(np.flatnonzero(np.isin(trials.image_rows, rows)))
    return Setting(store=store, subject=subject, split=split, trials=trials)


def _of_pictures(
    sheet: Sheet, setting: Setting, drawn: Brain | None, skipped: dict[str, str]
) -> dict[str, Any]:
    """Scores by likeness to training images, and the copy rate."""
    store = setting.store
    space = _space(store, drawn)
    target = store.target(space)
    rows = np.array([store.images.rows[image] for image in sheet.recons.ids], dtype=np.int64)
    training = brains.trained_images(drawn, setting)
    true, known = vectors(target, rows), vectors(target, training)
    likeness = novelty.nearest(true, known)
    groups = sheet.recons.groups
    found: dict[str, Any] = {
        "subject": setting.subject.name,
        "space": space,
        "novelty": {
            "training_images": len(training),
            "trained_on": int(len(np.intersect1d(rows, training))),
            "likeness": likeness.tolist(),
            "quartiles": novelty.quartiles(likeness, groups, sheet.lines, sheet.seed),
        },
    }
    try:
        encoder = load_encoder(space)
    except MindeyeError as problem:
        skipped["copy_rate"] = str(problem)
        return found

    def embed(pictures: Pictures) -> stats.Floats:
        return pooled(encoder.encode(pictures.pixels))

    shown = {"": sheet.recons, **sheet.controls}
    found["copy_rate"] = novelty.copy_rate(embed, shown, true, known, groups)
    return found


def _of_run(drawn: Brain, setting: Setting, seed: int) -> dict[str, Any]:
    """The parts that need the run behind the reconstruction, and nothing else."""
    model, subject = drawn.model, setting.subject
    true, test = setting.true(model.space), average_trials(subject, setting.trials)
    predicted = predictions.predictor(model)(test)
    rank = predictions.ranks(predicted, true)
    fitted = training_trials(setting.store, subject)
    step = max(1, -(-len(fitted.image_rows) // MOST_FITTED))
    some = fitted.take(np.arange(0, len(fitted.image_rows), step, dtype=np.int64))
    means = average_trials(subject, some)
    return {
        "training": brains.training_of(drawn, setting),
        "effective_rank": rank,
        "single_trial": predictions.by_repeats(model, subject, setting.trials, true),
        "bottleneck": predictions.bottleneck(model, means, test, true, seed),
    }


def _of_runs(known: list[Brain], setting: Setting, skipped: dict[str, str]) -> dict[str, Any]:
    """All runs side by side, and what several of them tell."""
    found: dict[str, Any] = {}
    if known:
        beside = brains.side_by_side(known, setting)
        found["runs"] = beside["rows"]
        plain = [row for row in beside["rows"] if not (row["shuffled"] or row["held_out"])]
        pairs = {(row["kind"], row["sessions"]) for row in plain}
        kinds = [kind for kind, _ in pairs]
        curve = [row for row in plain if kinds.count(row["kind"]) > 1]
        if curve:
            order = sorted(curve, key=lambda row: (row["kind"], row["sessions"], row["run"]))
            found["sessions"] = order
        if beside["clusters"]:
            found["held_out_cluster"] = beside["clusters"]
    if "sessions" not in found:
        skipped["sessions"] = SESSIONS
    if "held_out_cluster" not in found:
        skipped["held_out_cluster"] = CLUSTERS
    return found


def _held_out_pictures(drawn: Brain, setting: Setting, sheet: Sheet) -> dict[str, Any]:
    """Scores of the pictures inside and outside the cluster that their run never saw."""
    inside = brains.in_cluster(drawn, setting)
    rows = [setting.store.images.rows[image] for image in sheet.recons.ids]
    part = np.isin(rows, setting.trials.image_rows[inside])
    sides = {"inside": part, "outside": ~part}
    return {
        name: novelty.subset(chosen, sheet.recons.groups, sheet.lines, sheet.seed)
        for name, chosen in sides.items()
        if chosen.any()
    }


def _subject(store: Any, manifest: Mapping[str, Any]) -> Any:
    name = manifest.get("subject")
    if name is None and len(store.subjects) == 1:
        name = store.subjects[0]
    if name is None:
        raise UsageProblem(
            "the panel needs to know whose training images count",
            where="--panel",
            fix="evaluate a reconstruction whose manifest names the subject",
        )
    return store.subject(str(name))


def _space(store: Any, drawn: Brain | None) -> str:
    """The run's SPACE, else the store's first complete one, embeddings before latents."""
    named = None if drawn is None else drawn.model.space
    spaces = [str(s) for s in store.spaces if not store.missing_segments(s)]
    order = sorted(spaces, key=lambda s: (s != named, "vae" in s, s))
    if not order:
        raise MissingResource(
            "the store has no complete target space to compare images in",
            where="--panel",
            fix="mindeye prepare targets STORE --space SPACE",
        )
    return order[0]
