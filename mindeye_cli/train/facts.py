"""What a run would read, known from the store's shapes alone: sizes, bytes, missing targets.

Shapes: `N` images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.sampler import rng
from mindeye_cli.train.config import DataConfig
from mindeye_cli.train.targets import open_targets, open_views
from mindeye_store import Store

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """Sizes that the store decides, known before anything is read.

    Attributes
    ----------
    n_voxels : tuple of int
        Of every subject.
    target_shape : tuple of int
        Of one image.
    target_norm : str
        That the SPACE declares.
    """

    n_voxels: tuple[int, ...]
    target_shape: tuple[int, ...]
    target_norm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSizes:
    """How much a run would read.

    Attributes
    ----------
    items : tuple of int
        Training items of every subject.
    nbytes, voxel_bytes : int
        Kept in memory in all, and by the responses alone.
    """

    items: tuple[int, ...]
    nbytes: int
    voxel_bytes: int


def describe(store: Store, subjects: Sequence[str], space: str) -> DataFacts:
    """Sizes of the subjects' responses and of the targets.

    Raises
    ------
    MissingResource
        The store has no such subject or space.
    """
    target = open_targets(store, space)
    sizes = (int(store.subject(name).voxels.shape[1]) for name in subjects)
    return DataFacts(
        n_voxels=tuple(sizes),
        target_shape=tuple(target.shape[1:]),
        target_norm=str(target.attrs["norm"]),
    )


def measure(
    store: Store,
    subjects: Sequence[str],
    space: str,
    config: DataConfig,
    seed: int,
    extras: Sequence[str] = (),
) -> DataSizes:
    """Sizes of what `load_training_data` would return, without reading it.

    `seed` is the run's, which chooses the images held out.
    """
    per_image = 0
    if config.keep != "store":
        readers = open_views(store, space, config.views)
        readers += tuple(open_targets(store, name) for name in extras)
        per_image = sum(np.dtype(r.dtype).itemsize * int(np.prod(r.shape[1:])) for r in readers)
    shown, nbytes, voxel_bytes = [], 0, 0
    people = [store.subject(name) for name in subjects]
    for subject, trials in zip(
        people, config.selection(seed, space).trials(store, people), strict=True
    ):
        shown.append(trials.image_rows)
        voxel_bytes += 4 * len(trials.trial_rows) * int(subject.voxels.shape[1])
        nbytes += len(trials.image_rows) * per_image
    items = tuple(len(train) for train, _ in split_images(shown, config.validation, seed))
    return DataSizes(items=items, nbytes=nbytes + voxel_bytes, voxel_bytes=voxel_bytes)


def split_items(n: int, share: float, seed: int) -> tuple[Rows, Rows]:
    """Hold out whole images for validation.

    Parameters
    ----------
    n : int
        Number of training images.
    share : float
        Share to hold out; a share above 0 holds out at least two of three or more images.
    seed : int

    Returns
    -------
    train, validation : int64 arrays
        Ascending positions.
    """
    held = 0 if share == 0.0 or n < 3 else min(n - 1, max(2, round(share * n)))
    order = rng(seed, "validation").permutation(n).astype(np.int64)
    return np.sort(order[held:]), np.sort(order[:held])


def split_images(shown: Sequence[Rows], share: float, seed: int) -> list[tuple[Rows, Rows]]:
    """Hold out the same images for all subjects: none trains one subject and validates another.

    Parameters
    ----------
    shown : sequence of int64 arrays
        Global rows of the images that every subject saw in training.
    share : float
        Of all images that anybody saw.
    seed : int

    Returns
    -------
    list of (train, validation)
        Each subject's ascending positions in its own array.
    """
    union = np.unique(np.concatenate(shown))
    held = union[split_items(len(union), share, seed)[1]]
    masks = [np.isin(rows, held) for rows in shown]
    return [(np.flatnonzero(~mask), np.flatnonzero(mask)) for mask in masks]
