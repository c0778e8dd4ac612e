"""Pool retrieval: seeded pools drawn without replacement, both directions, intervals, controls.

Shapes: `n` images, `m` images in a pool, `D` pools, `r` brain rows.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core import retrieval_scores as scores
from mindeye_cli.core import stats
from mindeye_cli.core.sampler import rng

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DIRECTIONS = {
    "image_retrieval": "brain -> image: for each brain response, the place of its own image"
    " among the images of the pool",
    "brain_retrieval": "image -> brain: for each image, the place of its own brain response"
    " among the responses of the pool",
}
TIES = "expected over random order: the rank is the middle of the tied places"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """The places found in every pool.

    Attributes
    ----------
    images : int64 array (D, m)
        Positions of each pool's images.
    above, tied : int64 arrays (D, m)
        For each query: candidates that beat its target, and others that tie with it.
    full : float64 array (n, n)
        Similarities with the whole split, queries in rows, for the permutation control.
    """

    images: Ints
    above: Ints
    tied: Ints
    full: Floats


def draw_pools(
    similarity: Floats, image_of_row: Ints, pool: int, draws: int, seed: int
) -> dict[str, Draws]:
    """Rank every query in every pool, in both directions.

    Parameters
    ----------
    similarity : float64 array (r, n)
        Brain rows against images.
    image_of_row : int64 array (r,)
        With several rows an image (single trials), each pool takes one of them at random.
    pool, draws, seed : int
        A pool of at least `n` is the whole split; it is drawn once unless trials are drawn.

    Returns
    -------
    dict
        `image_retrieval` and `brain_retrieval`.
    """
    n = similarity.shape[1]
    size = min(pool, n)
    if size == n and len(image_of_row) == n:
        draws = 1
    images = np.stack([_members(n, size, seed, d) for d in range(draws)])
    squares = [similarity[_one_row_each(image_of_row, n, seed, d)] for d in range(draws)]
    found: dict[str, Draws] = {}
    for direction in DIRECTIONS:
        turned = [s if direction == "image_retrieval" else s.T for s in squares]
        diagonal = np.arange(size, dtype=np.int64)
        places = [
            scores.places(square[np.ix_(members, members)], diagonal)
            for square, members in zip(turned, images, strict=True)
        ]
        found[direction] = Draws(
            images=images,
            above=np.stack([above for above, _ in places]),
            tied=np.stack([tied for _, tied in places]),
            full=turned[0],
        )
    return found


def score_direction(draws: Draws, seed: int) -> dict[str, Any]:
    """Scores of one direction, with intervals, chance and permuted pairings.

    Parameters
    ----------
    draws : Draws
    seed : int

    Returns
    -------
    dict
        `top1`, `top5`, `top10`, `mean_rank`, `median_rank`; `ci95`, `chance` and `permuted` of
        `top1`; and `scores`, which has the three for every one of the five.
    """
    n, size = len(draws.full), draws.images.shape[1]
    above, tied = scores.all_places(draws.full)
    detail: dict[str, Any] = {}
    for k in scores.TOP:
        hits = scores.expected_top(draws.above, draws.tied, k)
        cross = scores.pooled_top(above, tied, n, size, k)
        chance = min(1.0, k / size)
        detail[f"top{k}"] = _mean_score(hits, draws, cross, chance, seed, stats.SHARE)
    ranks = scores.expected_rank(draws.above, draws.tied)
    pooled = scores.pooled_rank(above, tied, n, size)
    middle = (size + 1) / 2
    detail["mean_rank"] = _mean_score(ranks, draws, pooled, middle, seed)
    value = float(np.median(ranks))
    permuted = np.median(stats.permuted_entries(pooled, seed), axis=1)
    detail["median_rank"] = {
        "value": value,
        "ci95": _median_interval(ranks, draws, seed),
        "chance": middle,
        "permuted": asdict(stats.summarise(permuted, value, higher=False)),
    }
    plain = {name: entry["value"] for name, entry in detail.items()}
    headline = {key: detail["top1"][key] for key in ("ci95", "chance", "permuted")}
    return {**plain, **headline, "scores": detail}


def _mean_score(
    values: Floats,
    draws: Draws,
    cross: Floats,
    chance: float,
    seed: int,
    bounds: stats.Interval | None = None,
) -> dict[str, Any]:
    """A mean over queries; the interval resamples images while each pool stays as drawn.

    A share, which has `bounds`, is better when higher; a rank when lower.
    """
    n = len(draws.full)
    totals = np.zeros(n)
    np.add.at(totals, draws.images.ravel(), values.ravel())
    counts: Ints = np.bincount(draws.images.ravel(), minlength=n)
    drawn = np.flatnonzero(counts)
    groups = np.arange(len(drawn), dtype=np.int64)
    value = float(values.mean())
    permuted = stats.permuted_entries(cross, seed).mean(axis=1)
    return {
        "value": value,
        "ci95": stats.ratio_interval(
            totals[drawn], counts[drawn].astype(np.float64), groups, seed, bounds
        ),
        "chance": chance,
        "permuted": asdict(stats.summarise(permuted, value, higher=bounds is not None)),
    }


def _median_interval(ranks: Floats, draws: Draws, seed: int) -> stats.Interval:
    """Interval of the median rank: weighted medians over resampled images."""
    drawn, image_of_entry = np.unique(draws.images.ravel(), return_inverse=True)
    order = np.argsort(ranks.ravel(), kind="stable")
    ordered = ranks.ravel()[order]
    weights = stats.image_weights(np.arange(len(drawn), dtype=np.int64), seed)
    medians = np.empty(len(weights))
    for row, weight in enumerate(weights):
        running = np.cumsum(weight[image_of_entry[order]])
        half = running[-1] / 2
        low = ordered[np.searchsorted(running, half, side="left")]
        high = ordered[np.searchsorted(running, half, side="right")]
        medians[row] = (low + high) / 2
    return stats.interval(medians, len(drawn))


def _members(n: int, size: int, seed: int, draw: int) -> Ints:
    if size == n:
        return np.arange(n, dtype=np.int64)
    return np.sort(rng(seed, "pool", draw).choice(n, size=size, replace=False)).astype(np.int64)


def _one_row_each(image_of_row: Ints, n: int, seed: int, draw: int) -> Ints:
    """One brain row of every image: the only one, or a random trial."""
    if len(image_of_row) == n:
        return np.argsort(image_of_row, kind="stable").astype(np.int64)
    shuffled = rng(seed, "trial", draw).permutation(len(image_of_row))
    _, first = np.unique(image_of_row[shuffled], return_index=True)
    return shuffled[first].astype(np.int64)
