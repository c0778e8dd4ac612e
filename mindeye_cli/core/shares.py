"""Intervals of shares, such as two-way identification: Wilson's limits with an effective number.

A share near 1 has no variance to resample: 20 of 20 right would read [1, 1]. Wilson's limits
(1927) stay inside [0, 1] and keep their width there. How many independent images a share rests on
follows from its jackknife variance over images, which for scores of pairs counts that every image
is in many pairs.

Shapes: `n` entries, `G` distinct images.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Interval = tuple[float, float]

# How many independent images each image counts for: one where it is right or wrong, several where
# it is in many pairs. With few losses the variance is known badly, so the number is then drawn
# towards these, by the weight of `PRIOR_LOSSES`. Both, and the tail's steps and powers below, are
# fitted to simulations (`benchmarks/coverage.py`, docs/intervals.md).
SINGLE, IN_PAIRS = 1.0, 12.0
PRIOR_LOSSES = 0.3
# Without a loss nothing tells how steady the pairs are. An image of which nothing is decoded wins
# half of its pairs by luck; this number leaves room for as many of those as 20 without one do.
LOSSLESS = 3.0
# Near 0 and 1 a few images make all losses, and a third-order term is too small a step. So many are
# taken at the ends with 20 images; none at one half, where both tails are alike; and fewer where
# images are many.
TAIL_STEPS, TAIL_POWER = 6.0, 10
TAIL_IMAGES, TAIL_ROOT = 20, 0.25
# The tail ends where each image counts for this many; an image lost altogether counts for two.
LEAST_IN_PAIRS = 1.5


def pseudo_values(wins: Floats, groups: NDArray[np.int64]) -> Floats:
    """Jackknife pseudo-values of a mean over pairs of different images.

    Their mean is the score when every image has equally many pairs, and their variance over `G` is
    that of the score: each image counts as target and as distractor (a U-statistic; Efron & Stein
    1981, Annals of Statistics 9:586).

    Parameters
    ----------
    wins : float64 array (n, n)
        Score of each (distractor, target) pair; pairs of one image and undefined (NaN) ones are
        ignored.
    groups : int64 array (n,)
        The image of each entry, numbered from 0 without gaps.

    Returns
    -------
    float64 array (G,)
        NaN where nothing is left without the image, as with two images.
    """
    images = int(groups.max()) + 1
    valid = (groups[:, None] != groups[None, :]) & np.isfinite(wins)
    scores = np.where(valid, wins, 0.0)
    total, pairs = scores.sum(), valid.sum()
    totals, counts = (_of_image(v.astype(np.float64), groups, images) for v in (scores, valid))
    with np.errstate(invalid="ignore", divide="ignore"):
        without = (total - totals) / (pairs - counts)
        return np.asarray(images * total / pairs - (images - 1) * without)


def jackknife_error(pseudo: Floats) -> float:
    """Standard error of the mean of pseudo-values; NaN for fewer than two."""
    known = pseudo[np.isfinite(pseudo)]
    return float(known.std(ddof=1) / math.sqrt(len(known))) if len(known) > 1 else math.nan


def skew_shift(pseudo: Floats) -> float:
    """How much further than symmetric limits the longer tail of pseudo-values reaches, signed.

    The third-order term of Student's ratio at the 95 % limits, error x skewness x (1 + 2 t^2) /
    (6 sqrt(G)) (Johnson 1978, Journal of the American Statistical Association 73:536). A few images
    that lose against nearly all others make the tail that Wilson's limits, of equal images, miss.
    """
    known = pseudo[np.isfinite(pseudo)]
    spread = known.std() if len(known) > 1 else 0.0
    if spread == 0:
        return 0.0
    skewness = float(((known - known.mean()) ** 3).mean() / spread**3)
    t = float(special.stdtrit(len(known) - 1, 0.975))
    return jackknife_error(known) * skewness * (1 + 2 * t**2) / (6 * math.sqrt(len(known)))


def pair_limits(share: float, pseudo: Floats, units: int) -> Interval:
    """95 % limits of a share of pairs: Wilson's, the longer tail's moved out by the skewness.

    Parameters
    ----------
    share : float
        In [0, 1].
    pseudo : float64 array (G,)
    units : int
        Distinct images.
    """
    low, high = wilson(share, jackknife_error(pseudo), units, IN_PAIRS)
    if not math.isfinite(low):
        return (low, high)
    shift = tail_shift(share, pseudo)
    widest = _limits(share, units, units * LEAST_IN_PAIRS)
    moved = max(low + min(0.0, shift), widest[0]), min(high + max(0.0, shift), widest[1])
    return (min(low, moved[0]), max(high, moved[1]))


def tail_shift(share: float, pseudo: Floats) -> float:
    """How far the limit of a share of pairs is moved out on the side of the longer tail, signed."""
    known = np.isfinite(pseudo).sum()
    steps = TAIL_STEPS * (TAIL_IMAGES / max(1, int(known))) ** TAIL_ROOT
    return steps * abs(2 * share - 1) ** TAIL_POWER * skew_shift(pseudo)


def wilson(share: float, error: float, units: int, expected: float = SINGLE) -> Interval:
    """Wilson's 95 % limits of a share, with Student's quantile in place of the normal one.

    Parameters
    ----------
    share : float
        In [0, 1].
    error : float
        Its standard error over images.
    units : int
        Distinct images.
    expected : float
        Independent images that one image counts for, where the error tells little.

    Returns
    -------
    (low, high), both NaN for fewer than two images.
    """
    if units < 2 or not (math.isfinite(share) and math.isfinite(error)):
        return (math.nan, math.nan)
    single, losses = share * (1 - share) / units, units * min(share, 1 - share)
    return _limits(share, units, units * _counts_for(single, error**2, losses, expected))


def _limits(share: float, units: int, number: float) -> Interval:
    """Wilson's limits of a share of `number` independent images."""
    spread = share * (1 - share)
    t = float(special.stdtrit(units - 1, 0.975))
    scale = 1 + t**2 / number
    centre = (share + t**2 / (2 * number)) / scale
    half = t / scale * math.sqrt(spread / number + t**2 / (4 * number**2))
    return (max(0.0, centre - half), 1.0 if share == 1 else min(1.0, centre + half))


def _counts_for(single: float, variance: float, losses: float, expected: float) -> float:
    """Independent images that one image counts for; `single` is the variance if it were one."""
    if losses <= 0:
        return min(expected, LOSSLESS)
    if variance <= 0:
        return expected
    weight = losses / (losses + PRIOR_LOSSES)
    return math.exp(weight * math.log(single / variance) + (1 - weight) * math.log(expected))


def _of_image(values: Floats, groups: NDArray[np.int64], images: int) -> Floats:
    """Sum of the pairs in which each image is target or distractor."""
    either = values.sum(axis=0) + values.sum(axis=1)
    return np.bincount(groups, weights=either, minlength=images).astype(np.float64)
