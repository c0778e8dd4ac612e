"""Which trials show which image: the only place where splits are turned into row numbers.

Shapes: `V` voxels.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core import fingerprint
from mindeye_cli.core.runs import RunInfo
from mindeye_store import InvalidInput, Store, Subject

Split = Literal["train", "test", "all"]
Rows = NDArray[np.int64]
Floats = NDArray[np.float32]
# What the store's `split` array holds.
TRAIN, TEST = 0, 1
# Trials read at once while averaging: bounds the memory at any number of trials.
CHUNK_TRIALS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTrials:
    """Trials of one subject grouped by the image they show.

    Attributes
    ----------
    image_rows : int64 array (n_images,)
        Global image rows of the store, ascending.
    trial_rows : int64 array (n_trials,)
        Trials of the first image, then of the second, ...; in the order they were recorded.
    starts : int64 array (n_images + 1,)
        Image `i` owns `trial_rows[starts[i]:starts[i + 1]]`.
    """

    image_rows: Rows
    trial_rows: Rows
    starts: Rows

    @property
    def counts(self) -> Rows:
        """Number of trials of every image, int64 (n_images,)."""
        return np.diff(self.starts)

    @property
    def groups(self) -> Rows:
        """Position of the image behind every entry of `trial_rows`, int64 (n_trials,)."""
        return np.repeat(np.arange(len(self.image_rows), dtype=np.int64), self.counts)

    def take(self, positions: Rows) -> ImageTrials:
        """Keep the images at these positions, with all of their trials."""
        counts = self.counts[positions]
        offsets = np.repeat(self.starts[positions] - np.cumsum(counts) + counts, counts)
        return ImageTrials(
            image_rows=self.image_rows[positions],
            trial_rows=self.trial_rows[offsets + np.arange(counts.sum(), dtype=np.int64)],
            starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        )


def image_trials(
    subject: Subject, split: Split, exclude: Rows | None = None, sessions: int = 0
) -> ImageTrials:
    """Group one subject's trials by image.

    Parameters
    ----------
    subject : Subject
    split : {"train", "test", "all"}
        The subject's own split.
    exclude : int64 array, optional
        Global image rows to leave out, whatever the subject's split says.
    sessions : int
        Only the first so many sessions; 0 takes all of them.

    Returns
    -------
    ImageTrials

    Raises
    ------
    InvalidInput
        No trial is left.
    """
    image_of_trial = np.asarray(subject.image_index, dtype=np.int64)
    labels = np.asarray(subject.split)
    keep = np.ones(len(labels), dtype=bool)
    if split != "all":
        keep = labels == (TRAIN if split == "train" else TEST)
    if exclude is not None:
        keep &= ~np.isin(image_of_trial, exclude)
    if sessions:
        _need_sessions(subject)
        held = np.unique(np.asarray(subject.session))
        if sessions > len(held):
            raise InvalidInput(
                f"the first {sessions} sessions are asked for, the subject has {len(held)}",
                where=f"subject {subject.name}",
                fix=f"--set data.sessions={len(held)}",
            )
        keep &= np.isin(subject.session, held[:sessions])
    trials = np.flatnonzero(keep)
    if not len(trials):
        raise InvalidInput(
            f"the subject has no {split} trials",
            where=f"subject {subject.name}",
            fix="mindeye store info STORE lists subjects and splits",
        )
    trials = trials[np.argsort(image_of_trial[trials], kind="stable")]
    rows, counts = np.unique(image_of_trial[trials], return_counts=True)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return ImageTrials(image_rows=rows, trial_rows=trials.astype(np.int64), starts=starts)


def _need_sessions(subject: Subject) -> None:
    """Refuse to count sessions where the data set did not tell them.

    Raises
    ------
    InvalidInput
        The store holds a placeholder instead.
    """
    if "session" in subject.attrs.get("absent", ()):
        raise InvalidInput(
            "the data set does not tell the sessions of its trials",
            where=f"subject {subject.name}",
            fix="--set data.sessions=0 takes all trials",
        )


def test_images_any_subject(store: Store) -> Rows:
    """Images that are test for at least one subject of the store: they train nobody.

    Returns
    -------
    int64 array, ascending global image rows.
    """
    rows = [np.empty(0, dtype=np.int64)]
    for name in store.subjects:
        subject = store.subject(name)
        labels = np.asarray(subject.split)
        rows.append(np.asarray(subject.image_index, dtype=np.int64)[labels == TEST])
    return np.unique(np.concatenate(rows))


def training_trials(store: Store, subject: Subject, sessions: int = 0) -> ImageTrials:
    """One subject's training trials, without any image that is test for any subject.

    `sessions` takes the first so many sessions; 0 takes all of them.
    """
    return image_trials(subject, "train", test_images_any_subject(store), sessions)


def trained_rows(info: RunInfo, store: Store) -> Rows:
    """Which of a store's images trained a run, whatever store that was.

    A run that recorded row numbers alone is compared with the store of its own subjects only.

    Returns
    -------
    int64 array, ascending global image rows.
    """
    names = info.details.get("trained_ids")
    if names is not None:
        rows = store.images.rows
        return np.array(sorted(rows[name] for name in names if name in rows), dtype=np.int64)
    recorded = np.asarray(info.details.get("trained_images", ()), dtype=np.int64)
    if len(recorded) and not _of_this_store(info, store):
        logging.getLogger("mindeye").warning(
            "the run records its training images by number in another store: not checked"
        )
        return np.empty(0, dtype=np.int64)
    return recorded


def _of_this_store(info: RunInfo, store: Store) -> bool:
    """Whether the run's subjects are in the store, by name and by their voxels' places."""
    masks = info.details.get("masks")
    if not all(name in store.subjects for name in info.subjects):
        return False
    # Runs older than the record of their masks are known by their subjects' names alone.
    return masks is None or list(masks) == [
        mask_fingerprint(store.subject(n)) for n in info.subjects
    ]


def refuse_trained_images(
    run: Path, info: RunInfo, split: str, image_rows: Rows, store: Store | None = None
) -> None:
    """Refuse to score a run on test images that it was trained on.

    The store of today may say "test" where it said "train" when the run was made: a subject was
    prepared anew or added since. Cross-validated predictions are not concerned: they come from
    models of their own, and the run's weights are fitted to training images alone. Runs older than
    the record of their images pass.

    Parameters
    ----------
    run : Path
        The RUN folder, for the message.
    info : RunInfo
    split : {"train", "test"}
        Training images may be looked at as such.
    image_rows : int64 array
        Global image rows to be scored.
    store : Store
        Whose rows they are; without it, the run's own is meant.

    Raises
    ------
    InvalidInput
        Some of them trained the run.
    """
    if split != "test":
        return
    recorded = (
        info.details.get("trained_images", ()) if store is None else trained_rows(info, store)
    )
    seen = np.intersect1d(image_rows, np.asarray(recorded, dtype=np.int64))
    if len(seen):
        raise InvalidInput(
            f"the run was trained on {len(seen)} images that are test images in this store,"
            f" first image row {seen[0]}",
            where=str(run),
            fix=f"train again: mindeye train {info.kind} STORE RUN --overwrite",
        )


def average_trials(subject: Subject, trials: ImageTrials) -> Floats:
    """Mean response to every image.

    Returns
    -------
    float32 array (n_images, V)
        Accumulated in float64, trial by trial in recorded order.
    """
    sums = np.zeros((len(trials.image_rows), subject.voxels.shape[1]), dtype=np.float64)
    groups = trials.groups
    for start in range(0, len(groups), CHUNK_TRIALS):
        part = slice(start, start + CHUNK_TRIALS)
        np.add.at(sums, groups[part], subject.voxels.read(trials.trial_rows[part]))
    return (sums / trials.counts[:, None]).astype(np.float32)


def average_voxels(subject: Subject, split: Split) -> tuple[Floats, Rows]:
    """Mean response to every image of a split, and the images' global rows.

    Returns
    -------
    voxels : float32 array (n_images, V)
    image_rows : int64 array (n_images,), ascending
    """
    trials = image_trials(subject, split)
    return average_trials(subject, trials), trials.image_rows


def mask_fingerprint(subject: Subject) -> str:
    """Fingerprint of the voxels' places: equal where the same voxels come in the same order."""
    if subject.ijk is None:
        return fingerprint.of_json({"n_voxels": int(subject.voxels.shape[1])})
    return fingerprint.of_array(subject.ijk)
