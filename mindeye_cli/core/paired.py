"""Paired comparison of two systems on the same images, and corrections for many comparisons.

Shapes: `G` distinct images, `R` rows (subjects or seeds), `D` resamples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy import stats as theory

from mindeye_cli.core import stats
from mindeye_cli.core.sampler import rng

Floats = NDArray[np.float64]
# Fewer subjects than this say too little about other subjects.
LEAST_SUBJECTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A mean difference between two systems.

    Attributes
    ----------
    difference : float
    ci95 : (float, float)
    p : float
        Two-sided, that the mean difference is zero.
    sign_p : float
        Of the exact sign test over images; ties are left out.
    n : int
        Images.
    """

    difference: float
    ci95: stats.Interval
    p: float
    sign_p: float
    n: int


def compare_means(differences: Floats, seed: int, signs: Floats | None = None) -> Difference:
    """Bootstrap-t interval and p of a mean of per-image differences.

    Parameters
    ----------
    differences : float64 array (G,)
        Of the systems' scores, or of their pseudo-values for scores of pairs; NaN is left out.
    seed : int
    signs : float64 array (G,), optional
        What the sign test counts, where that is not the differences: an image's own scores.

    Returns
    -------
    Difference
        Two identical systems differ by 0 with p = 1.
    """
    known = differences[np.isfinite(differences)]
    nothing = float("nan")
    if not len(known):
        return Difference(difference=nothing, ci95=(nothing, nothing), p=nothing, sign_p=1.0, n=0)
    groups = np.arange(len(known), dtype=np.int64)
    return Difference(
        difference=float(known.mean()),
        ci95=stats.mean_interval(known, groups, seed),
        p=_p(known, seed),
        sign_p=sign_test(known if signs is None else signs),
        n=len(known),
    )


def _p(differences: Floats, seed: int) -> float:
    """Two-sided p of a zero mean, from the same resamples as the interval."""
    n, mean = len(differences), float(differences.mean())
    if n < 2:
        return float("nan")
    error = float(differences.std(ddof=1) / np.sqrt(n))
    if error <= stats.ROUNDING * max(abs(mean), float(np.abs(differences).max())):
        return 1.0 if mean == 0 else 0.0
    t = mean / error
    if n < stats.LEAST_RESAMPLED:
        return float(2 * special.stdtr(n - 1, -abs(t)))
    resampled = stats.studentised(differences, np.ones(n), seed)
    beyond = [(resampled >= t).sum(), (resampled <= t).sum()]
    return min(1.0, 2 * (1 + min(beyond)) / (1 + len(resampled)))


def sign_test(differences: Floats) -> float:
    """Two-sided exact binomial p that either sign is as likely; 1 where all are ties."""
    positive, negative = int((differences > 0).sum()), int((differences < 0).sum())
    if positive + negative == 0:
        return 1.0
    return float(theory.binomtest(positive, positive + negative).pvalue)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's (1979) adjusted p of a family of tests; NaN stays and does not count.

    Parameters
    ----------
    p_values : mapping of name to p
    """
    known = sorted((p, name) for name, p in p_values.items() if np.isfinite(p))
    adjusted, largest = dict(p_values), 0.0
    for place, (p, name) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - place) * p))
        adjusted[name] = largest
    return adjusted


def compare_crossed(rows: Sequence[Floats], seed: int) -> Difference:
    """A grand mean over subjects who saw the same images; both are resampled.

    Parameters
    ----------
    rows : sequence of float64 arrays (G,)
        Differences, one array a subject, images in the same order.
    seed : int

    Returns
    -------
    Difference
        Interval and p are NaN below `LEAST_SUBJECTS` subjects; the sign test counts subjects.
    """
    table = np.stack(rows)
    subjects, images = table.shape
    defined = np.isfinite(table)
    filled = np.where(defined, table, 0.0)
    value = float(filled.sum() / max(1, defined.sum()))
    people = np.asarray([row[np.isfinite(row)].mean() for row in table])
    signs, nothing = sign_test(people), float("nan")
    if subjects < LEAST_SUBJECTS:
        return Difference(
            difference=value, ci95=(nothing, nothing), p=nothing, sign_p=signs, n=images
        )
    if not people.any() and not filled.any():
        return Difference(difference=0.0, ci95=(0.0, 0.0), p=1.0, sign_p=1.0, n=images)
    weights = stats.image_weights(np.arange(images, dtype=np.int64), seed)
    drawn = rng(seed, "subjects", subjects).multinomial(
        subjects, [1 / subjects] * subjects, size=len(weights)
    )
    totals = ((drawn @ filled) * weights).sum(axis=1)
    counts = ((drawn @ defined.astype(np.float64)) * weights).sum(axis=1)
    means = totals / counts
    beyond = min(int((means <= 0).sum()), int((means >= 0).sum()))
    return Difference(
        difference=value,
        ci95=stats.interval(means, min(subjects, images)),
        p=min(1.0, 2 * (1 + beyond) / (1 + len(means))),
        sign_p=signs,
        n=images,
    )
