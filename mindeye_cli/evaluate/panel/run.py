"""`mindeye evaluate --panel`: put the generalisation panel together.

What a reconstruction does not tell is passed over with the reason in `skipped`: other people's
pictures have no RUN, so they have quartiles and a copy rate and no bottleneck curve.

Shapes: `n` entries, `G` distinct images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.core import stats
from mindeye_cli.core.clusters import parse_held_out, pooled, vectors
from mindeye_cli.core.fingerprint import of_file
from mindeye_cli.core.run_subjects import subject_of_run
from mindeye_cli.core.runs import MODEL
from mindeye_cli.core.trials import Split, average_trials, image_trials, training_trials
from mindeye_cli.evaluate.panel import novelty, predictions
from mindeye_cli.evaluate.pictures import Pictures
from mindeye_cli.evaluate.sources import Folder
from mindeye_cli.models.encoders import load_encoder
from mindeye_cli.models.run_model import RunModel, load_run
from mindeye_store import open_store
from mindeye_store.errors import InvalidInput, MindeyeError, MissingResource, UsageProblem

# Predictions with a smaller share of the truth's effective rank have collapsed.
COLLAPSED = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What the panel looks at: a scored reconstruction, its controls and their store."""

    folder: Folder
    store: Path
    recons: Pictures
    controls: Mapping[str, Pictures]
    lines: Mapping[str, Any]
    seed: int


def panel(sheet: Sheet) -> dict[str, Any]:
    """The whole panel.

    Parameters
    ----------
    sheet : Sheet

    Returns
    -------
    dict
        `space`, `novelty`, `copy_rate`, `held_out_cluster`, `training`, `effective_rank`,
        `single_trial`, `bottleneck`, and `skipped` (name to reason) for what is not there.

    Raises
    ------
    InvalidInput, MissingResource
        The store has no such subject, or no complete target space.
    """
    store = open_store(sheet.store)
    manifest = sheet.folder.manifest or {}
    subject = _subject(store, manifest)
    space = _space(store, manifest)
    target = store.target(space)
    training = training_trials(store, subject).image_rows
    rows = np.array([store.images.rows[image] for image in sheet.recons.ids], dtype=np.int64)
    true, known = vectors(target, rows), vectors(target, training)
    groups = sheet.recons.groups
    likeness = novelty.nearest(true, known)
    found: dict[str, Any] = {
        "space": space,
        "novelty": {
            "likeness": likeness.tolist(),
            "quartiles": novelty.quartiles(likeness, groups, sheet.lines, sheet.seed),
        },
    }
    shown = {"": sheet.recons, **sheet.controls}
    skipped: dict[str, str] = {}

    def copied() -> dict[str, Any]:
        encoder = load_encoder(space)

        def embed(pictures: Pictures) -> stats.Floats:
            return pooled(encoder.encode(pictures.pixels))

        return novelty.copy_rate(embed, shown, true, known, groups)

    _attempt("copy_rate", copied, found, skipped)
    _of_run(store, subject, sheet, rows, found, skipped)
    return {**found, "skipped": skipped}


def panel_warnings(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """What in a panel a reader must not miss."""
    rank = found.get("effective_rank")
    if rank is None or not rank["ratio"] < COLLAPSED:
        return []
    message = (
        f"predictions have an effective rank of {rank['predicted']['effective_rank']:.1f}, the true"
        f" embeddings one of {rank['true']['effective_rank']:.1f}: the model names few directions"
    )
    return [{"code": "rank-collapsed", "message": message}]


def _attempt(
    name: str,
    compute: Callable[[], Any],
    found: dict[str, Any],
    skipped: dict[str, str],
) -> None:
    """Add a part of the panel, or why it is not there."""
    try:
        found[name] = compute()
    except MindeyeError as problem:
        skipped[name] = str(problem)


def _of_run(
    store: Any,
    subject: Any,
    sheet: Sheet,
    rows: stats.Ints,
    found: dict[str, Any],
    skipped: dict[str, str],
) -> None:
    """The parts that need the RUN behind the reconstruction."""
    names = ("training", "held_out_cluster", "effective_rank", "single_trial", "bottleneck")
    try:
        path, model = _run(sheet, subject)
        subject_of_run(store, path, model.info, subject.name)
    except MindeyeError as problem:
        skipped.update(dict.fromkeys(names, str(problem)))
        return
    images = np.unique(rows)
    split: Split = "train" if (sheet.folder.manifest or {}).get("split") == "train" else "test"
    trials = image_trials(subject, split)
    trials = trials.take(np.flatnonzero(np.isin(trials.image_rows, images)))
    true = np.asarray(store.target(model.space).read(trials.image_rows), dtype=np.float32)
    test = average_trials(subject, trials)
    output = predictions.output_of(model)
    predicted = model.predict(test, outputs=(output,))[output]
    fitted = training_trials(store, subject)
    found["training"] = _training(model, fitted, subject)
    found["effective_rank"] = predictions.ranks(predicted, true)
    found["single_trial"] = predictions.by_repeats(model, subject, trials, true)
    means = average_trials(subject, fitted)
    found["bottleneck"] = predictions.bottleneck(model, means, test, true, sheet.seed)
    text, space = model.info.details.get("held_out", ("", ""))
    if not text:
        skipped["held_out_cluster"] = "the run was trained on all clusters"
        return
    cluster = parse_held_out(text, space)
    union = np.unique(
        np.concatenate(
            [training_trials(store, store.subject(s)).image_rows for s in model.info.subjects]
        )
    )
    inside = np.isin(rows, cluster.rows(store.target(space), union, images))
    groups = sheet.recons.groups
    found["held_out_cluster"] = {
        "cluster": text,
        "space": space,
        **{
            name: novelty.subset(part, groups, sheet.lines, sheet.seed)
            for name, part in (("inside", inside), ("outside", ~inside))
            if part.any()
        },
    }


def _run(sheet: Sheet, subject: Any) -> tuple[Path, RunModel]:
    """The RUN of the embeddings that were drawn."""
    manifest = sheet.folder.manifest or {}
    named = manifest.get("folders", {}).get("high")
    if named is None:
        raise UsageProblem("no manifest names the RUN of the embeddings")
    path = Path(named)
    model = load_run(path, subject.name)
    if of_file(path / MODEL) != manifest["runs"]["high"]["model_sha256"]:
        raise InvalidInput("the RUN is another than the one that was used", where=named)
    return path, model


def _training(model: RunModel, fitted: Any, subject: Any) -> dict[str, Any]:
    """How much data trained the run, for curves over runs."""
    asked = int(model.config.get("data", {}).get("sessions", 0))
    held = len(np.unique(np.asarray(subject.session)[fitted.trial_rows]))
    return {
        "sessions": asked or held,
        "images": len(model.info.details.get("trained_images", ())),
        "subjects": list(model.info.subjects),
        "shuffled": bool(model.info.details.get("shuffled", False)),
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


def _space(store: Any, manifest: Mapping[str, Any]) -> str:
    """The RUN's SPACE, else the store's first complete one, embeddings before latents."""
    named = manifest.get("runs", {}).get("high", {}).get("space")
    spaces = [str(s) for s in store.spaces if not store.missing_segments(s)]
    order = sorted(spaces, key=lambda s: (s != named, "vae" in s, s))
    if not order:
        raise MissingResource(
            "the store has no complete target space to compare images in",
            where="--panel",
            fix="mindeye prepare targets STORE --space SPACE",
        )
    return order[0]
