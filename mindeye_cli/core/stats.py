"""Intervals and controls: bootstrap over images, and pairings permuted at test time.

`n` entries (reconstructions or queries), `G` distinct images, `D` resamples. The unit that is
resampled is always the image: entries of one image (single trials) are drawn together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from mindeye_cli.core.sampler import rng

Floats = NDArray[np.float64]
Interval = tuple[float, float]

BOOTSTRAP_DRAWS = 2000
PERMUTATIONS = 1000
LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Permuted:
    """Scores under permuted pairings: their mean, 95 % range, number and one-sided p."""

    mean: float
    range95: Interval
    permutations: int
    p: float


def image_weights(groups: NDArray[np.int64], seed: int, draws: int = BOOTSTRAP_DRAWS) -> Floats:
    """How often each entry is drawn in each resample of the images.

    Parameters
    ----------
    groups : int64 array (n,)
        The image of each entry, numbered from 0 without gaps.
    seed, draws : int
        The resamples are a pure function of the seed and the number of images.

    Returns
    -------
    float64 array (draws, n)
        Multinomial counts, equal for entries of one image.
    """
    images = int(groups.max()) + 1
    counts = rng(seed, "bootstrap", images).multinomial(images, [1 / images] * images, size=draws)
    return counts[:, groups].astype(np.float64)


def interval(samples: Floats, units: int, level: float = LEVEL) -> Interval:
    """The expanded percentile interval of bootstrap samples.

    The plain percentile interval is too narrow for few units, by sqrt((n-1)/n) and by the normal
    quantile standing in for Student's t. Reading the percentiles at
    Phi(-sqrt(n/(n-1)) t_{n-1}) corrects both (Hesterberg 2015, The American Statistician 69:371).

    Parameters
    ----------
    samples : float64 array (D,)
        The statistic in each resample; NaN (nothing defined was drawn) is left out.
    units : int
        Number of images that were resampled.
    level : float

    Returns
    -------
    (low, high), both NaN for fewer than two units.
    """
    finite = samples[np.isfinite(samples)]
    if units < 2 or not len(finite):
        return (float("nan"), float("nan"))
    quantile = special.stdtrit(units - 1, (1 - level) / 2) * np.sqrt(units / (units - 1))
    tail = float(special.ndtr(quantile))
    low, high = np.quantile(finite, [tail, 1 - tail])
    return (float(low), float(high))


def mean_interval(values: Floats, groups: NDArray[np.int64], seed: int) -> Interval:
    """Interval of the mean of per-entry values, undefined (NaN) entries left out.

    Parameters
    ----------
    values : float64 array (n,)
    groups : int64 array (n,)
        The image of each entry.
    seed : int
    """
    defined = np.isfinite(values)
    if not defined.any():
        return (float("nan"), float("nan"))
    kept = np.unique(groups[defined], return_inverse=True)[1].astype(np.int64)
    return ratio_interval(values[defined], np.ones(int(defined.sum())), kept, seed)


def ratio_interval(
    totals: Floats, counts: Floats, groups: NDArray[np.int64], seed: int
) -> Interval:
    """Interval of sum(totals) / sum(counts) when images are resampled.

    Parameters
    ----------
    totals, counts : float64 arrays (n,)
        Each entry's summed score and how many scores it sums.
    groups : int64 array (n,)
    seed : int
    """
    weights = image_weights(groups, seed)
    with np.errstate(invalid="ignore"):
        samples = (weights @ totals) / (weights @ counts)
    return interval(samples, int(groups.max()) + 1)


def pair_interval(wins: Floats, groups: NDArray[np.int64], seed: int) -> Interval:
    """Interval of a mean over pairs of different images.

    A resample holds copies of an image; a pair of two copies compares a picture with itself and
    would pull a perfect two-way score of 20 images down to .95, so such pairs are left out.

    Parameters
    ----------
    wins : float64 array (n, n)
        Score of each (distractor, target) pair; entries of the same image are ignored, and so are
        undefined (NaN) ones.
    groups : int64 array (n,)
    seed : int
    """
    weights = image_weights(groups, seed)
    valid = ((groups[:, None] != groups[None, :]) & np.isfinite(wins)).astype(np.float64)
    totals = ((weights @ (np.nan_to_num(wins) * valid)) * weights).sum(axis=1)
    pairs = ((weights @ valid) * weights).sum(axis=1)
    with np.errstate(invalid="ignore"):
        samples = totals / pairs
    return interval(samples, int(groups.max()) + 1)


def permuted_entries(cross: Floats, seed: int, draws: int = PERMUTATIONS) -> Floats:
    """Per-entry scores when predictions are paired with stimuli at random; nothing is refitted.

    Parameters
    ----------
    cross : float64 array (n, n)
        Score of prediction `j` (column) if its stimulus were `i` (row); the diagonal is the truth.
    seed, draws : int
        The permutations are a pure function of the seed and `n`.

    Returns
    -------
    float64 array (draws, n)
    """
    n = len(cross)
    order = rng(seed, "permuted", n).permuted(np.tile(np.arange(n), (draws, 1)), axis=1)
    return np.asarray(cross[order, np.arange(n)[None, :]])


def summarise(scores: Floats, value: float, *, higher: bool) -> Permuted:
    """Summarise the scores of permuted pairings.

    Parameters
    ----------
    scores : float64 array (draws,)
    value : float
        The score of the true pairing.
    higher : bool
        Whether higher is better, for the one-sided p; the true pairing is counted among them.
    """
    finite = scores[np.isfinite(scores)]
    if not len(finite):
        nothing = float("nan")
        return Permuted(mean=nothing, range95=(nothing, nothing), permutations=0, p=nothing)
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    as_good = (finite >= value) if higher else (finite <= value)
    return Permuted(
        mean=float(finite.mean()),
        range95=(float(low), float(high)),
        permutations=len(finite),
        p=float((1 + as_good.sum()) / (1 + len(finite))),
    )


def defined_means(values: Floats) -> Floats:
    """Means over the last axis of the defined entries; NaN where none is defined."""
    defined = np.isfinite(values)
    counts = defined.sum(axis=-1)
    totals = np.where(defined, values, 0.0).sum(axis=-1)
    with np.errstate(invalid="ignore"):
        means: Floats = np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)
    return means
