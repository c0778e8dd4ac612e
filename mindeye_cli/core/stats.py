"""Intervals and controls: images resampled, and pairings permuted at test time.

`n` entries (reconstructions or queries), `G` distinct images, `D` resamples. The unit that is
resampled is always the image: entries of one image (single trials) are drawn together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from mindeye_cli.core.sampler import rng
from mindeye_cli.core.shares import pair_limits, pseudo_values, wilson

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Interval = tuple[float, float]

BOOTSTRAP_DRAWS = 2000
PERMUTATIONS = 1000
LEVEL = 0.95
SHARE: Interval = (0.0, 1.0)
# Fewer images have too few distinct resamples.
LEAST_RESAMPLED = 8
# Values whose spread is no more than this part of them are equal but for rounding.
ROUNDING = 1e-12


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
    drawn = _drawn(seed, images, draws)
    return drawn if np.array_equal(groups, np.arange(images)) else drawn[:, groups]


@lru_cache(maxsize=2)
def _drawn(seed: int, images: int, draws: int) -> Floats:
    """Counts of each image in each resample; every metric of an evaluation asks for the same."""
    counts = rng(seed, "bootstrap", images).multinomial(images, [1 / images] * images, size=draws)
    values = counts.astype(np.float64)
    values.setflags(write=False)
    return values


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


def mean_interval(
    values: Floats,
    groups: NDArray[np.int64],
    seed: int,
    bounds: Interval | None = None,
) -> Interval:
    """Interval of the mean of per-entry values, undefined (NaN) entries left out.

    Parameters
    ----------
    values : float64 array (n,)
    groups : int64 array (n,)
        The image of each entry.
    seed : int
    bounds : (low, high), optional
        Of the score; (0, 1) is a share.
    """
    defined = np.isfinite(values)
    if not defined.any():
        return (float("nan"), float("nan"))
    kept = np.unique(groups[defined], return_inverse=True)[1].astype(np.int64)
    return ratio_interval(values[defined], np.ones(int(defined.sum())), kept, seed, bounds)


def ratio_interval(
    totals: Floats,
    counts: Floats,
    groups: NDArray[np.int64],
    seed: int,
    bounds: Interval | None = None,
) -> Interval:
    """Interval of sum(totals) / sum(counts) when images are resampled.

    Shares have Wilson's limits (`core/shares.py`). All else has the bootstrap-t interval: each
    resample's distance from the score is divided by the resample's own standard error, which
    follows skewed scores as the percentiles of the resampled scores do not (Efron & Tibshirani
    1993, chapter 12.5). Below `LEAST_RESAMPLED` images it is Student's t interval.

    Parameters
    ----------
    totals, counts : float64 arrays (n,)
        Each entry's summed score and how many scores it sums.
    groups : int64 array (n,)
    seed : int
    bounds : (low, high), optional
    """
    units = int(groups.max()) + 1
    totals = np.bincount(groups, weights=totals, minlength=units).astype(np.float64)
    counts = np.bincount(groups, weights=counts, minlength=units).astype(np.float64)
    value = float(totals.sum() / counts.sum())
    rest = totals - value * counts
    error = float(np.sqrt((rest**2).sum() * units / max(1, units - 1)) / counts.sum())
    if units < 2:
        return (float("nan"), float("nan"))
    if bounds == SHARE:
        return wilson(value, error, units)
    if error <= ROUNDING * abs(value):
        return (value, value)
    low, high = value - error * student_quantiles(totals, counts, seed)[::-1]
    limits = bounds or (-np.inf, np.inf)
    if units >= LEAST_RESAMPLED:
        # A few bad pictures among good ones throw a limit far beyond every image's own score.
        own = totals[counts > 0] / counts[counts > 0]
        limits = (max(limits[0], own.min()), min(limits[1], own.max()))
    return (float(max(low, limits[0])), float(min(high, limits[1])))


def student_quantiles(totals: Floats, counts: Floats, seed: int) -> Floats:
    """Quantiles of (score - truth) / error: 2.5 and 97.5 %, from resamples of the images."""
    units = len(totals)
    if units < LEAST_RESAMPLED:
        upper = float(special.stdtrit(units - 1, (1 + LEVEL) / 2))
        return np.array([-upper, upper])
    return np.quantile(studentised(totals, counts, seed), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])


def studentised(totals: Floats, counts: Floats, seed: int) -> Floats:
    """Each resample's distance from the score in its own standard errors, float64 (D,).

    Resamples without spread are left out.
    """
    units = len(totals)
    value = totals.sum() / counts.sum()
    weights = image_weights(np.arange(units, dtype=np.int64), seed)
    moments = np.stack([counts, totals, totals**2, totals * counts, counts**2], axis=1)
    sizes, sums, squared, mixed, sizes_squared = (weights @ moments).T
    means = sums / sizes
    squares = squared - 2 * means * mixed + means**2 * sizes_squared
    error = np.sqrt(np.maximum(squares, 0.0) * units / (units - 1)) / sizes
    spread = error > ROUNDING * np.abs(means)
    return np.asarray((means[spread] - value) / error[spread])


def pair_interval(wins: Floats, groups: NDArray[np.int64]) -> Interval:
    """Interval of a mean over pairs of different images, such as two-way identification.

    Nothing is resampled: a resample holds copies of an image, and a pair of two copies compares a
    picture with itself, which pulls a perfect score of 20 images down to .95. Leaving such pairs
    out gives too narrow an interval near 1; Wilson's limits with the jackknife variance do not. The
    limit on the side of the longer tail is moved out by the skewness (`core/shares.py`).

    Parameters
    ----------
    wins : float64 array (n, n)
        Score in [0, 1] of each (distractor, target) pair; entries of the same image are ignored,
        and so are undefined (NaN) ones.
    groups : int64 array (n,)
    """
    valid = (groups[:, None] != groups[None, :]) & np.isfinite(wins)
    if not valid.any():
        return (float("nan"), float("nan"))
    images = len(np.unique(groups[valid.any(axis=0) | valid.any(axis=1)]))
    return pair_limits(float(wins[valid].mean()), pseudo_values(wins, groups), images)


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
