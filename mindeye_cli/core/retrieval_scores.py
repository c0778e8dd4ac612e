"""Retrieval in a pool, with both directions named by their axes and ties counted honestly.

`similarity[b, i]` compares brain vector `b` (row) with image `i` (column); the diagonal is the
true pairing. Image retrieval (brain -> image) ranks the columns of a row; brain retrieval
(image -> brain) ranks the rows of a column: transpose, and it is the same code.

Ties. A candidate as similar as the right one is beaten or not by the toss of a coin, so every
score is its expectation over such tosses: the rank is the middle of the tied places, and top-k
counts the share of the tied places that lie within the first k. A predictor that answers with a
constant scores exactly chance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TOP = (1, 5, 10)
# Features multiplied at once: bounds the memory at 257 x 768 tokens.
CHUNK_FEATURES = 16384


def cosine(
    brain: NDArray[np.floating],
    images: NDArray[np.floating],
    centre: NDArray[np.floating] | None = None,
) -> Floats:
    """Cosine of every brain vector with every image vector.

    Parameters
    ----------
    brain : float array (n, ...)
        Flattened after the first axis.
    images : float array (m, ...)
    centre : float array (...), optional
        Subtracted from both first.

    Returns
    -------
    float64 array (n, m)
        Rounded to 10 decimals, so that vectors which are equal tie whatever the order of
        summation; a vector without length has cosine 0 with everything.
    """
    rows, columns = brain.reshape(len(brain), -1), images.reshape(len(images), -1)
    origin = np.zeros(rows.shape[1]) if centre is None else np.asarray(centre).reshape(-1)
    products = np.zeros((len(rows), len(columns)))
    row_squares, column_squares = np.zeros(len(rows)), np.zeros(len(columns))
    for start in range(0, rows.shape[1], CHUNK_FEATURES):
        part = slice(start, start + CHUNK_FEATURES)
        a = rows[:, part].astype(np.float64) - origin[part]
        b = columns[:, part].astype(np.float64) - origin[part]
        products += a @ b.T
        row_squares += (a * a).sum(axis=1)
        column_squares += (b * b).sum(axis=1)
    lengths = np.sqrt(row_squares)[:, None] * np.sqrt(column_squares)[None, :]
    return np.asarray(np.round(products / np.where(lengths > 0, lengths, 1.0), 10))


def places(similarity: Floats, targets: Ints) -> tuple[Ints, Ints]:
    """For each row, how many candidates beat its target and how many others tie with it.

    Parameters
    ----------
    similarity : float64 array (n, m)
    targets : int64 array (n,)
        The column of each row's target.

    Returns
    -------
    (above, tied), int64 arrays (n,)
    """
    own = similarity[np.arange(len(similarity)), targets][:, None]
    above = (similarity > own).sum(axis=1)
    tied = (similarity == own).sum(axis=1) - 1
    return above.astype(np.int64), tied.astype(np.int64)


def all_places(similarity: Floats) -> tuple[Ints, Ints]:
    """`places` for every possible target of every row: two int64 arrays (n, m)."""
    m = similarity.shape[1]
    above = np.empty(similarity.shape, dtype=np.int64)
    tied = np.empty(similarity.shape, dtype=np.int64)
    for row, values in enumerate(similarity):
        ordered = np.sort(values)
        low = np.searchsorted(ordered, values, side="left")
        high = np.searchsorted(ordered, values, side="right")
        above[row] = m - high
        tied[row] = high - low - 1
    return above, tied


def expected_rank(above: Ints, tied: Ints) -> Floats:
    """The middle of the tied places, counted from 1."""
    return np.asarray(1.0 + above + tied / 2.0)


def expected_top(above: Ints, tied: Ints, k: int) -> Floats:
    """Share of the tied places that lie within the first `k`."""
    return np.asarray(np.clip((k - above) / (tied + 1.0), 0.0, 1.0))


def pooled_rank(above: Ints, tied: Ints, n: int, pool: int) -> Floats:
    """Expected rank over all pools of `pool` of the `n` candidates that hold the target."""
    if n == 1:
        return np.ones(above.shape)
    return np.asarray(1.0 + (above + tied / 2.0) * (pool - 1) / (n - 1))


def pooled_top(above: Ints, tied: Ints, n: int, pool: int, k: int) -> Floats:
    """Chance of a place within the first `k`, over all pools of `pool` of the `n` candidates.

    With `g` candidates above the target among the other n-1, a pool's pool-1 others hold a
    hypergeometric number of them; ties are averaged over their places.
    """
    below = stats.hypergeom(n - 1, np.arange(n), pool - 1).cdf(k - 1)
    running = np.concatenate([[0.0], np.cumsum(below)])
    return np.asarray((running[above + tied + 1] - running[above]) / (tied + 1.0))
