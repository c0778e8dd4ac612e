"""A decoder that reads some areas only: which voxels are kept, and random voxels to compare with.

The other voxels are set to 0, the training mean of z-scored responses. A network that was trained
on all of them reads responses that it never saw, so the same is done with random voxels: as many,
and as many of each tenth of the noise-ceiling SNR, as the areas have.

Shapes: `V` voxels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.rois import resolve
from mindeye_cli.core.sampler import rng
from mindeye_store import Subject
from mindeye_store.errors import InvalidInput

Mask = NDArray[np.bool_]
BINS = 10


def kept_voxels(subject: Subject, keep: str | None, drop: str | None) -> Mask | None:
    """Voxels that `--keep-rois` and `--drop-rois` leave, bool (V,); None where neither is given.

    Raises
    ------
    UsageProblem, InvalidInput
        Not an expression, an area that the subject lacks, or no voxel is left.
    """
    if keep is None and drop is None:
        return None
    kept = np.ones(subject.voxels.shape[1], dtype=bool)
    if keep is not None:
        kept &= resolve(subject.rois, keep, where="--keep-rois")
    if drop is not None:
        kept &= ~resolve(subject.rois, drop, where="--drop-rois")
    if not kept.any():
        raise InvalidInput(
            "no voxel is left", where="--keep-rois, --drop-rois", fix="drop fewer areas"
        )
    return kept


def matched_voxels(subject: Subject, kept: Mask, draws: int, seed: int) -> list[Mask]:
    """Random sets of voxels like `kept` in number and noise-ceiling SNR.

    Without a noise ceiling they are like it in number alone.
    """
    ncsnr = subject.ncsnr
    bins = np.zeros(len(kept), dtype=np.int64)
    if ncsnr is not None:
        edges = np.quantile(ncsnr, np.arange(1, BINS) / BINS)
        bins = np.searchsorted(edges, ncsnr, side="right").astype(np.int64)
    random = rng(seed, "matched voxels")
    sets = []
    for _ in range(draws):
        chosen = np.zeros(len(kept), dtype=bool)
        for b in np.unique(bins):
            voxels = np.flatnonzero(bins == b)
            count = int(kept[voxels].sum())
            chosen[random.choice(voxels, count, replace=False)] = True
        sets.append(chosen)
    return sets


def matched_in(subject: Subject) -> str:
    """What the sets of `matched_voxels` are alike in, in words."""
    return "number" if subject.ncsnr is None else "number and noise-ceiling SNR"
