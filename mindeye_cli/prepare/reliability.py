"""Noise-ceiling SNR of every voxel, from training trials.

After z-scoring, signal and noise variance add up to 1, so with the noise variance v2 measured
between repeats of the same image, ncsnr = sqrt(max(0, 1 - v2)) / sqrt(v2) (NSD data paper,
`export_noiseceiling`; Allen et al. 2022). The file that NSD distributes counts test trials too;
choosing voxels by it would let the test set choose.

Shapes: `N` trials, `V` voxels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.noise_ceiling import ncsnr
from mindeye_cli.prepare.table import TrialTable
from mindeye_cli.prepare.voxels import RawTrials
from mindeye_cli.prepare.zscore import SessionStatistics

# NSD's formula rests on images shown three times; twice is the least that has a variance.
WANTED_REPEATS, LEAST_REPEATS = 3, 2
IMAGES_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """ncsnr float32 (V,), how many images it rests on, and their least number of repeats."""

    ncsnr: NDArray[np.float32]
    n_images: int
    repeats: int


def training_ncsnr(
    raw: RawTrials, table: TrialTable, statistics: SessionStatistics
) -> Reliability | None:
    """Noise-ceiling SNR from images with repeated training trials.

    Parameters
    ----------
    raw : RawTrials, N trials of V voxels
    table : TrialTable
    statistics : SessionStatistics
        The z-scoring that the stored voxels get.

    Returns
    -------
    Reliability or None
        From images with at least three training trials, else with two; None when no image was
        repeated.
    """
    rows = np.flatnonzero(table.train)
    rows = rows[np.argsort(table.image[rows], kind="stable")]
    _, starts, counts = np.unique(table.image[rows], return_index=True, return_counts=True)
    for repeats in (WANTED_REPEATS, LEAST_REPEATS):
        chosen = np.flatnonzero(counts >= repeats)
        if len(chosen):
            break
    else:
        return None
    noise = np.zeros(raw.shape[1])
    for begin in range(0, len(chosen), IMAGES_AT_ONCE):
        part = chosen[begin : begin + IMAGES_AT_ONCE]
        owned = np.concatenate([np.arange(starts[i], starts[i] + counts[i]) for i in part])
        scores = statistics.apply(raw, table, rows[owned])
        edges = np.cumsum(counts[part])[:-1]
        for repeated in np.split(scores, edges):
            noise += repeated.var(axis=0, ddof=1)
    return Reliability(ncsnr=ncsnr(noise / len(chosen)), n_images=len(chosen), repeats=repeats)
