"""What retrieval compares: a run's embedding of each test trial or image, and the true targets.

Shapes: `n` images, `r` rows (one an image, or one a trial), `V` voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.kept_voxels import Mask
from mindeye_cli.core.retrieval_scores import cosine
from mindeye_cli.core.run_subjects import subject_of_run
from mindeye_cli.core.runs import RunInfo, differs, read_run
from mindeye_cli.core.trials import (
    TRAIN,
    ImageTrials,
    average_trials,
    image_trials,
    refuse_trained_images,
    training_trials,
)
from mindeye_cli.models.run_model import RunModel, load_run
from mindeye_store.errors import InvalidInput

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# The published comparison for networks trained with a contrastive loss on cosines; a regression
# predicts deviations from the training mean, so its angles are measured from there.
SIMILARITY = {
    "high-level": "cosine",
    "ridge": "cosine after subtracting the mean training target",
}
OUTPUT = {"high-level": "retrieval", "ridge": "prediction"}
CHUNK_TARGETS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Similarities of the split's brain responses and images.

    Attributes
    ----------
    similarity : float64 array (r, n)
    image_of_row : int64 array (r,)
        The position (0..n-1) of the image that each brain row shows.
    image_rows : int64 array (n,)
        Global image rows of the store.
    ids : list of str
    info : RunInfo
    subject : str
    """

    similarity: Floats
    image_of_row: Ints
    image_rows: Ints
    ids: list[str]
    info: RunInfo
    subject: str


def compare(
    store: Any,
    run: Path,
    split: str,
    average: str,
    subject: str | None,
    kept: Sequence[Mask | None] = (None,),
) -> list[Comparison]:
    """Embed the split's responses and compare them with its images' targets.

    Parameters
    ----------
    store : mindeye_store Store
    run : Path
    split : {"test", "train"}
    average : {"voxels", "predictions", "none"}
        Repeats are averaged before the network, after it, or kept as single trials.
    subject : str or None
        Needed when the run was trained on several.
    kept : sequence of bool arrays (V,) or None
        The network reads these voxels and 0 in place of the others; None reads all.

    Returns
    -------
    list of Comparison
        One for each of `kept`.

    Raises
    ------
    InvalidInput
        A run that has no retrieval output, other voxels or another encoder's targets, that was
        trained on the test images, or whose predictions are not finite.
    UsageProblem
        Which of the run's subjects is not said, or it has none of that name.
    """
    info = read_run(run)
    _check_kind(run, info)
    source, targets = subject_of_run(store, run, info, subject), store.target(info.space)
    _check_targets(run, info, targets)
    trials = image_trials(source, "test" if split == "test" else "train")
    refuse_trained_images(run, info, split, trials.image_rows, store)
    model = load_run(run, source.name)
    centre = _centre(model, store, source, targets) if info.kind == "ridge" else None
    images = targets.read(trials.image_rows)
    ids = [store.images.ids[row] for row in trials.image_rows]
    found = list[Comparison]()
    for mask in kept:
        brain, image_of_row = _embed(model, info.kind, source, trials, average, mask)
        _check_finite(run, brain)
        found.append(
            Comparison(
                similarity=cosine(brain, images, centre),
                image_of_row=image_of_row,
                image_rows=trials.image_rows,
                ids=ids,
                info=info,
                subject=source.name,
            )
        )
    return found


def _check_kind(run: Path, info: RunInfo) -> None:
    if info.kind not in OUTPUT:
        raise InvalidInput(
            f"a {info.kind} run has no embedding to retrieve with",
            where=str(run),
            fix="give a run of `mindeye train high-level` or `mindeye train ridge`",
        )


def _check_finite(run: Path, brain: NDArray[np.floating]) -> None:
    if not np.isfinite(brain).all():
        raise InvalidInput("the run's predictions are not finite", where=str(run))


def _check_targets(run: Path, info: RunInfo, targets: Any) -> None:
    """The store's targets must be what the run predicts."""
    if differs(info.targets, str(targets.attrs["fingerprint"]), f"encoder of {info.space}"):
        raise InvalidInput(
            f"the store's {info.space} comes from another encoder than the run was trained on",
            where=str(run),
            fix="prepare the targets with the same weights, or train the run again",
        )
    if tuple(targets.shape[1:]) != tuple(info.details["target_shape"]):
        raise InvalidInput(
            f"the store's {info.space} has shape {tuple(targets.shape[1:])},"
            f" the run predicts {tuple(info.details['target_shape'])}",
            where=str(run),
            fix=f"give a run of this store's {info.space}",
        )


def _centre(model: RunModel, store: Any, source: Any, targets: Any) -> Floats:
    """Mean training target, from the store, or from the run where the store holds a test set alone.

    Training responses are z-scored, so a regression answers their mean, 0, with the mean target.
    """
    if (np.asarray(source.split) == TRAIN).any():
        return mean_target(targets, training_trials(store, source).image_rows)
    zeros = np.zeros((1, source.voxels.shape[1]), dtype=np.float32)
    return model.predict(zeros, outputs=("prediction",))["prediction"][0].astype(np.float64)


def mean_target(targets: Any, rows: Ints) -> Floats:
    """Mean target over the given image rows, read in chunks; float64 of the target's shape."""
    total = np.zeros(targets.shape[1:])
    for start in range(0, len(rows), CHUNK_TARGETS):
        total += targets.read(rows[start : start + CHUNK_TARGETS]).astype(np.float64).sum(axis=0)
    return total / len(rows)


def _embed(
    model: RunModel,
    kind: str,
    source: Any,
    trials: ImageTrials,
    average: str,
    kept: Mask | None,
) -> tuple[NDArray[np.floating], Ints]:
    """Embeddings (r, ...) and the image position of each row."""
    output = OUTPUT[kind]
    positions = np.arange(len(trials.image_rows), dtype=np.int64)
    if average == "voxels":
        voxels = _without(average_trials(source, trials), kept)
        return model.predict(voxels, outputs=(output,))[output], positions
    voxels = _without(np.array(source.voxels.read(trials.trial_rows), dtype=np.float32), kept)
    each = model.predict(voxels, outputs=(output,))[output]
    if average == "none":
        return each, trials.groups
    means = np.add.reduceat(each.astype(np.float64), trials.starts[:-1], axis=0)
    counts = trials.counts.reshape(-1, *([1] * (each.ndim - 1)))
    return means / counts, positions


def _without(voxels: NDArray[np.float32], kept: Mask | None) -> NDArray[np.float32]:
    """The responses with 0, a voxel's mean, in place of what is not kept."""
    return voxels if kept is None else np.where(kept, voxels, np.float32(0))
