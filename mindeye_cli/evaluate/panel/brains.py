"""Brain models beside each other: fewer sessions, a cluster held out, a refit on shuffled rows.

Each is scored by two-way identification (`predictions.py`), from mean responses and single trials.

Shapes: `n` rows of responses, `G` test images.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.core import stats
from mindeye_cli.core.clusters import parse_held_out
from mindeye_cli.core.fingerprint import of_file
from mindeye_cli.core.run_subjects import subject_of_run
from mindeye_cli.core.runs import MODEL
from mindeye_cli.core.trials import (
    ImageTrials,
    average_trials,
    refuse_trained_images,
    trained_rows,
    training_trials,
)
from mindeye_cli.evaluate.panel import predictions
from mindeye_cli.evaluate.sources import Folder
from mindeye_cli.models.run_model import RunModel, load_run
from mindeye_store.errors import InvalidInput, UsageProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class Brain:
    """A run that predicts embeddings from one subject's responses."""

    path: Path
    model: RunModel

    @property
    def held_out(self) -> tuple[str, str]:
        """The cluster that it never saw and its SPACE; empty for none."""
        text, space = self.model.info.details.get("held_out") or ("", "")
        return str(text), str(space)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What brains are scored on.

    Attributes
    ----------
    store, subject : Store, Subject
    split : {"train", "test"}
    trials : ImageTrials
        Of the reconstructed images.
    """

    store: Any
    subject: Any
    split: str
    trials: ImageTrials

    def true(self, space: str) -> predictions.Floats:
        """Targets of the images, float32 (G, ...)."""
        rows = self.store.target(space).read(self.trials.image_rows)
        return np.asarray(rows, dtype=np.float32)


def open_brain(path: Path, setting: Setting) -> Brain:
    """Load a run of embeddings and check that it may be scored on these images.

    Raises
    ------
    UsageProblem
        It predicts no embeddings.
    InvalidInput
        Another subject's responses, or it was trained on some of the images.
    """
    model = load_run(path, setting.subject.name)
    if predictions.output_of(model) not in model.outputs:
        raise UsageProblem(f"a {model.kind} run predicts no embeddings", where=str(path))
    subject_of_run(setting.store, path, model.info, setting.subject.name)
    refuse_trained_images(path, model.info, setting.split, setting.trials.image_rows, setting.store)
    return Brain(path=path, model=model)


def drawn_from(folder: Folder, setting: Setting) -> Brain:
    """The run whose embeddings a reconstruction shows.

    Raises
    ------
    UsageProblem
        No manifest names one.
    InvalidInput
        It has been trained anew since.
    """
    manifest = folder.manifest or {}
    named = manifest.get("folders", {}).get("high")
    if named is None:
        raise UsageProblem("no manifest names a run of embeddings")
    if of_file(Path(named) / MODEL) != manifest["runs"]["high"]["model_sha256"]:
        raise InvalidInput("the run was trained anew since the pictures were made", where=named)
    return open_brain(Path(named), setting)


def training_of(brain: Brain, setting: Setting) -> dict[str, Any]:
    """How much and what trained a run."""
    model = brain.model
    config = model.config.get("data", model.config)
    held = np.asarray(setting.subject.session)[
        training_trials(setting.store, setting.subject).trial_rows
    ]
    return {
        "kind": model.kind,
        "sessions": int(config.get("sessions", 0)) or len(np.unique(held)),
        "images": len(model.info.details.get("trained_images", ())),
        "subjects": list(model.info.subjects),
        "shuffled": bool(model.info.details.get("shuffled", False)),
        "held_out": brain.held_out[0],
    }


def side_by_side(brains: list[Brain], setting: Setting) -> dict[str, Any]:
    """Every brain's training and scores, and of every cluster that one of them never saw.

    Returns
    -------
    dict
        `rows`: what `training_of` says with `run`, `mean` and `single_trial` (each `value`,
        `ci95`, `n`). `clusters`: `cluster`, `space`, `images`, and `rows` with `run`, `seen`,
        `inside` and `outside`.
    """
    means = average_trials(setting.subject, setting.trials)
    singles = np.asarray(setting.subject.voxels.read(setting.trials.trial_rows), np.float32)
    images = np.arange(len(means), dtype=np.int64)
    rows, cosines = [], []
    for brain in brains:
        true, predict = setting.true(brain.model.space), predictions.predictor(brain.model)
        cosines.append(predictions.similarity(predict, means, true))
        alone = predictions.similarity(predict, singles, true)
        rows.append(
            {
                "run": str(brain.path),
                **training_of(brain, setting),
                "mean": predictions.identification(cosines[-1], images),
                "single_trial": predictions.identification(alone, setting.trials.groups),
            }
        )
    clusters = {brain.held_out: brain for brain in brains if brain.held_out[0]}
    return {
        "rows": rows,
        "clusters": [_cluster(brain, brains, cosines, setting) for brain in clusters.values()],
    }


def in_cluster(brain: Brain, setting: Setting) -> Any:
    """Which of the images belong to the cluster that a brain never saw, bool (G,)."""
    cluster = parse_held_out(*brain.held_out)
    store, images = setting.store, setting.trials.image_rows
    every = [training_trials(store, store.subject(s)).image_rows for s in brain.model.info.subjects]
    target = store.target(cluster.space)
    return np.isin(images, cluster.rows(target, np.unique(np.concatenate(every)), images))


def _cluster(
    holder: Brain, brains: list[Brain], cosines: list[stats.Floats], setting: Setting
) -> dict[str, Any]:
    inside = in_cluster(holder, setting)
    found = []
    for brain, own in zip(brains, cosines, strict=True):
        images = np.arange(len(inside), dtype=np.int64)
        won = predictions.wins(own, images)
        np.fill_diagonal(won, np.nan)
        scores = stats.defined_means(won.T)
        found.append(
            {
                "run": str(brain.path),
                "seen": brain.held_out != holder.held_out,
                **{
                    name: {
                        "value": float(scores[part].mean()),
                        "ci95": stats.mean_interval(scores[part], images[part], 0, stats.SHARE),
                        "n": int(part.sum()),
                    }
                    for name, part in (("inside", inside), ("outside", ~inside))
                    if part.any()
                },
            }
        )
    text, space = holder.held_out
    return {"cluster": text, "space": space, "images": int(inside.sum()), "rows": found}


def trained_images(brain: Brain | None, setting: Setting) -> stats.Ints:
    """Image rows that trained the brain; without one, the subject's training images."""
    if brain is not None:
        rows = trained_rows(brain.model.info, setting.store)
        if len(rows):
            return rows
    return training_trials(setting.store, setting.subject).image_rows
