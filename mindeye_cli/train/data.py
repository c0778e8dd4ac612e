"""The training responses of a run's subjects with their targets, split by image for validation.

Shapes: `N` images, `R` most repeats of an image, `V` voxels.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mindeye_cli.core import fingerprint
from mindeye_cli.core.launch import processes_here
from mindeye_cli.core.trials import ImageTrials, mask_fingerprint
from mindeye_cli.train.config import DataConfig, Keep
from mindeye_cli.train.facts import split_images
from mindeye_cli.train.memory import free_memory
from mindeye_cli.train.responses import KeptTargets, ResponseSet, StoredTargets, Targets
from mindeye_cli.train.study import StudySet
from mindeye_cli.train.targets import open_targets, open_views
from mindeye_store import InvalidInput, Reader, Store, Subject

Rows = NDArray[np.int64]
CHUNK = 512  # rows read at once
MEMORY_SHARE = 0.6  # of the free memory, for the targets of all processes
_LOG = logging.getLogger("mindeye")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunIdentity:
    """Facts by which a run's data are recognised.

    Attributes
    ----------
    voxels, masks : tuple of str
        Fingerprints of every subject's training responses, and of its voxels' places.
    targets : str
        Fingerprint of the target encoder.
    views : tuple of str
        Fingerprints of the augmented views: views made with another seed make another run.
    target_norm : str
        Norm that the SPACE declares.
    target_shape : tuple of int
        Of one image.
    image_rows : tuple of int
        Global rows of all training images, those held out for validation included; ascending.
    image_ids : tuple of str
        Their ids, by which another store knows them.
    shuffled : bool
        Responses stand beside other images' targets: a control.
    held_out : (str, str)
        The cluster that was left out and its SPACE; empty for none.
    """

    voxels: tuple[str, ...]
    masks: tuple[str, ...]
    targets: str
    target_norm: str
    target_shape: tuple[int, ...]
    image_rows: tuple[int, ...]
    image_ids: tuple[str, ...]
    views: tuple[str, ...] = ()
    shuffled: bool = False
    held_out: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """What a run trains on, and the facts that identify it.

    Attributes
    ----------
    parts : tuple of ResponseSet
        All training images of every subject.
    image_ids : tuple of lists of str
        Of those images, for messages.
    identity : RunIdentity
    """

    parts: tuple[ResponseSet, ...]
    image_ids: tuple[list[str], ...]
    identity: RunIdentity

    @property
    def in_memory(self) -> bool:
        """Whether all targets are kept in main or device memory."""
        kept = (t for part in self.parts for t in (part.targets, *part.extras))
        return all(isinstance(targets, KeptTargets) for targets in kept)

    def target_rms(self) -> float:
        """Root mean square of the targets' elements over all training images, to nine digits.

        The last digits depend on the machine and its threads, and a run must find its own
        configuration again on another one.
        """
        total, count = 0.0, 0
        for part in self.parts:
            for start in range(0, len(part), CHUNK):
                rows = part.targets.read(np.arange(start, min(start + CHUNK, len(part))))
                total += float(rows.double().square().sum())
                count += rows.numel()
        return float(f"{np.sqrt(total / count):.9g}")

    def to(self, device: torch.device) -> TrainingData:
        """The same data on a device."""
        return replace(self, parts=tuple(part.to(device) for part in self.parts))

    def split(self, share: float, seed: int) -> tuple[StudySet, StudySet, list[str]]:
        """Training items, validation items, and the image ids of the former."""
        train, held, ids = [], [], []
        splits = split_images([part.image_rows for part in self.parts], share, seed)
        for part, names, (items, rest) in zip(self.parts, self.image_ids, splits, strict=True):
            train.append(part.take(items))
            held.append(part.take(rest))
            ids += [names[item] for item in items]
        return StudySet(train, seed), StudySet(held, seed), ids


def load_training_data(
    store: Store,
    subjects: Sequence[str],
    space: str,
    config: DataConfig,
    extras: Sequence[str] = (),
    seed: int = 0,
) -> TrainingData:
    """Read the subjects' training trials and the targets of the images they show.

    Images that are test for any subject of the store are left out before anything is read. `extras`
    are other spaces of the same images; `seed` is the run's.

    Raises
    ------
    MissingResource
        The store has no such subject, space or view.
    InvalidInput
        Targets and images disagree, or a value is not finite.
    """
    readers = open_views(store, space, config.views)
    others = [(name, open_targets(store, name)) for name in extras]
    parts, names, found = [], [], []
    ids = store.images.ids
    people = [store.subject(name) for name in subjects]
    selection = config.selection(seed, space)
    chosen = selection.trials(store, people)
    keep = _keep(config.keep, store.reader)
    beside = selection.target_rows([trials.image_rows for trials in chosen])
    for subject, trials, rows in zip(people, chosen, beside, strict=True):
        voxels = read_rows(subject.voxels, trials.trial_rows).astype(np.float32, copy=False)
        refuse_non_finite(voxels, f"subjects/{subject.name}/voxels", "trial", trials.trial_rows)
        parts.append(
            ResponseSet(
                voxels=torch.from_numpy(voxels),
                repeats=torch.from_numpy(padded_repeats(trials)),
                counts=trials.counts,
                targets=_targets(readers, rows, space, keep),
                image_rows=trials.image_rows,
                extras=tuple(_targets((reader,), rows, other, keep) for other, reader in others),
            )
        )
        names.append([ids[row] for row in trials.image_rows])
        found.append(identify(subject, voxels, trials.image_rows, readers[0], ids))
    union = np.unique(np.concatenate([part.image_rows for part in parts]))
    return TrainingData(
        parts=tuple(parts),
        image_ids=tuple(names),
        identity=replace(
            found[0],
            views=tuple(str(reader.attrs["fingerprint"]) for reader in readers[1:]),
            voxels=tuple(identity.voxels[0] for identity in found),
            masks=tuple(identity.masks[0] for identity in found),
            image_rows=tuple(int(row) for row in union),
            image_ids=tuple(ids[row] for row in union),
            shuffled=config.shuffle_rows,
            held_out=selection.held_out,
        ),
    )


def read_rows(reader: Reader, rows: Rows) -> NDArray[Any]:
    """Read rows in parts: a store that reads many at once needs several times their memory."""
    values = np.empty((len(rows), *reader.shape[1:]), dtype=reader.dtype)
    for start in range(0, len(rows), CHUNK):
        values[start : start + CHUNK] = reader.read(rows[start : start + CHUNK])
    return values


def _keep(keep: Keep, reader: str) -> Keep:
    """Where targets stay: as configured, else as the reader that was asked for implies."""
    if keep != "auto" or reader == "auto":
        return keep
    return "memory" if reader == "preload" else "store"


def _targets(readers: tuple[Reader, ...], rows: Rows, space: str, keep: Keep) -> Targets:
    """Targets of some images, in memory where they fit."""
    size = len(readers) * len(rows) * int(np.prod(readers[0].shape[1:]))
    needed = size * np.dtype(readers[0].dtype).itemsize
    room = MEMORY_SHARE * free_memory() / processes_here()
    stored = keep == "store" or (keep == "auto" and needed > room)
    _LOG.info(
        "targets %s: %.2f GB %s, where this process may keep %.2f GB (%s)",
        space,
        needed / 1e9,
        "read from the store batch by batch" if stored else "kept in memory",
        room / 1e9,
        "chosen by size" if keep == "auto" else "as asked for",
    )
    if stored:
        # Every value was checked when it was written.
        return StoredTargets(readers, rows)
    found = [read_rows(reader, rows) for reader in readers]
    for values in found:
        refuse_non_finite(values, f"targets/{space}", "image", rows)
    return KeptTargets(tuple(torch.from_numpy(values) for values in found))


def identify(
    subject: Subject,
    voxels: NDArray[np.float32],
    image_rows: Rows,
    target: Reader,
    ids: Sequence[str],
) -> RunIdentity:
    """Fingerprints of one subject's responses (n, V) to some images, and of their space.

    `ids` are those of all images of the store.
    """
    return RunIdentity(
        voxels=(fingerprint.of_array(voxels),),
        masks=(mask_fingerprint(subject),),
        targets=str(target.attrs["fingerprint"]),
        target_norm=str(target.attrs["norm"]),
        target_shape=tuple(target.shape[1:]),
        image_rows=tuple(int(row) for row in image_rows),
        image_ids=tuple(ids[row] for row in image_rows),
    )


def padded_repeats(trials: ImageTrials) -> Rows:
    """Rows of every image among the grouped trials, int64 (N, R), padded with the first."""
    columns = np.arange(trials.counts.max(), dtype=np.int64)[None]
    within = np.where(columns < trials.counts[:, None], columns, 0)
    return np.asarray(trials.starts[:-1, None] + within)


def refuse_non_finite(values: NDArray[Any], where: str, unit: str, rows: Rows) -> None:
    """Raise `InvalidInput` naming the first row that holds a value that is not finite."""
    bad = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    if bad.any():
        raise InvalidInput(
            f"{int(bad.sum())} rows hold values that are not finite, first {unit} {rows[bad][0]}",
            where=where,
            fix="mindeye store verify STORE",
        )
