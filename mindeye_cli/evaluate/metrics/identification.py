"""Identification of the own stimulus among others, by the correlations of features.

For reconstruction `j`, distractor `k` is beaten by stimulus `i` if it correlates less with `j`, by
strict inequality: a tie is not a win. Everything here follows from how many are beaten.

Shapes: `n` entries; rows are stimuli, columns are reconstructions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from mindeye_cli.evaluate.metrics.correlation import Floats, pearson_matrix
from mindeye_cli.evaluate.metrics.spec import Scores

# Distractors of the hard two-way identification: the stimuli nearest to the own one.
NEAREST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Beaten:
    """How many distractors a stimulus beats.

    Attributes
    ----------
    own : float64 array (n,)
        For each reconstruction, by its own stimulus; NaN where a correlation is undefined.
    among : float64 array (n,)
        How many distractors there are: the entries of other images.
    cross : float64 array (n, n) or None
        By every stimulus, were it the own one.
    """

    own: Floats
    among: Floats
    cross: Floats | None


def beaten(r: Floats, groups: NDArray[np.int64], *, cross: bool) -> Beaten:
    """Count the distractors that are beaten.

    Parameters
    ----------
    r : float64 array (n, n)
        Correlations.
    groups : int64 array (n,)
        The image of each entry; entries of one image are never each other's distractors.
    cross : bool
    """
    same = groups[:, None] == groups[None, :]
    lost = (r < np.diagonal(r)[None, :]) & ~same
    own = np.where(np.isnan(np.diagonal(r)), np.nan, lost.sum(axis=0))
    table = _if_it_were(r, same) if cross else None
    return Beaten(own=own, among=(~same).sum(axis=0).astype(np.float64), cross=table)


def _if_it_were(r: Floats, same: NDArray[np.bool_]) -> Floats:
    """Number of distractors beaten by stimulus i for reconstruction j, for every i and j."""
    n = len(r)
    result = np.empty((n, n))
    for j, column in enumerate(r.T):
        ordered = np.sort(column)  # NaN comes last and is never below
        result[:, j] = np.searchsorted(ordered, column, side="left")
        result[np.isnan(column), j] = np.nan
    repeated = same.sum(axis=0) > 1
    for i in np.flatnonzero(repeated):
        siblings = r[same[i]]
        result[i] -= (siblings < r[i]).sum(axis=0)
    return result


def n_way(ways: int) -> Callable[[Beaten], Scores]:
    """Chance of a first place among `ways` stimuli, the others drawn at random without repeats.

    The mean over all draws, not a sample: C(beaten, ways - 1) / C(all, ways - 1). Undefined where
    fewer stimuli are there.
    """

    def compute(counts: Beaten) -> Scores:
        return _each(counts, lambda b, among: _all_beaten(b, among, ways - 1))

    return compute


def _all_beaten(b: Floats, among: Floats, drawn: int) -> Floats:
    if among.min() < drawn:
        return np.full(b.shape, np.nan)
    steps = np.arange(drawn, dtype=np.float64)
    ratios = np.maximum(b[..., None] - steps, 0.0) / (among[..., None] - steps)
    return np.asarray(ratios.prod(axis=-1))


def first_of_all(counts: Beaten) -> Scores:
    """1 where all distractors are beaten."""
    return _each(counts, lambda b, among: np.where(np.isnan(b), np.nan, b == among))


def rank(counts: Beaten) -> Scores:
    """Place of the own stimulus among all, from 1; a tie counts against it."""
    return _each(counts, lambda b, among: among - b + 1)


def _each(counts: Beaten, score: Callable[[Floats, Floats], Floats]) -> Scores:
    cross = counts.cross
    if cross is not None:
        # Column by column: n-way scores have one more axis while they are computed.
        columns = [score(b, counts.among) for b in cross.T]
        cross = np.stack(columns, axis=1).astype(np.float64)
    return Scores(per_entry=score(counts.own, counts.among).astype(np.float64), cross=cross)


def hard_two_way(
    stimuli: NDArray[np.floating], r: Floats, groups: NDArray[np.int64], *, cross: bool
) -> Scores:
    """Two-way identification against the stimuli that are nearest to the own one.

    Parameters
    ----------
    stimuli : float array (n, F)
        Their correlations say which are near.
    r : float64 array (n, n)
    groups : int64 array (n,)
    cross : bool
    """
    likeness = pearson_matrix(stimuli, stimuli)
    likeness[groups[:, None] == groups[None, :]] = -np.inf
    likeness[np.isnan(likeness)] = -np.inf
    k = min(NEAREST, int(np.isfinite(likeness).sum(axis=1).min()))
    n = len(r)
    near = np.argsort(-likeness, axis=1, kind="stable")[:, : max(k, 1)]
    wins = np.full((n, n), np.nan)
    columns = np.arange(n)
    for place in near.T:
        wins[place, columns] = r[place, columns] < r[columns, columns]
    wins[:, np.isnan(np.diagonal(r))] = np.nan
    table = None
    if cross:
        table = np.mean([r[place] < r for place in near.T], axis=0)
        table[np.isnan(r)] = np.nan
        np.fill_diagonal(table, _mean(wins))
    return Scores(per_entry=_mean(wins), cross=table, wins=wins)


def _mean(wins: Floats) -> Floats:
    defined = np.isfinite(wins)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(defined, wins, 0.0).sum(axis=0) / defined.sum(axis=0))


def d_prime(share: float, pairs: int) -> float:
    """Sensitivity of a two-way choice, sqrt(2) times the normal quantile of its share.

    Macmillan & Creelman 2005, chapter 7. A share of 0 or 1 is taken as half a pair away from it.
    """
    half = 0.5 / pairs
    return float(np.sqrt(2) * special.ndtri(min(max(share, half), 1 - half)))
