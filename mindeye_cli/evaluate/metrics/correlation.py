"""Pearson correlations between the rows of two feature matrices.

Shapes: `n` rows, `F` features.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Features of a constant picture are constant but for rounding in float32.
ROUNDING = 1e-6
# Values converted to float64 at once: features may be mapped from a file and larger than memory.
BLOCK = 2**22


def pearson_matrix(first: NDArray[np.floating], second: NDArray[np.floating]) -> Floats:
    """Correlation of every row of `first` with every row of `second`.

    Parameters
    ----------
    first, second : float arrays (n, ...) and (m, ...)
        Flattened after the first axis.

    Returns
    -------
    float64 array (n, m)
        NaN where a row is constant.
    """
    sides = [values.reshape(len(values), -1) for values in (first, second)]
    (means, lengths), (other_means, other_lengths) = (_moments(side) for side in sides)
    products = np.zeros((len(first), len(second)))
    width = max(1, BLOCK // max(len(first), len(second)))
    for start in range(0, sides[0].shape[1], width):
        columns = slice(start, start + width)
        one = sides[0][:, columns].astype(np.float64) - means[:, None]
        two = sides[1][:, columns].astype(np.float64) - other_means[:, None]
        products += one @ two.T
    return np.asarray(products / np.outer(lengths, other_lengths))


def pearson_rows(first: NDArray[np.floating], second: NDArray[np.floating]) -> Floats:
    """Correlation of every row of `first` with the same row of `second`, float64 (n,)."""
    sides = [values.reshape(len(values), -1) for values in (first, second)]
    (means, lengths), (other_means, other_lengths) = (_moments(side) for side in sides)
    products = [
        np.dot(one.astype(np.float64) - mean, two.astype(np.float64) - other)
        for one, two, mean, other in zip(*sides, means, other_means, strict=True)
    ]
    return np.asarray(np.array(products) / (lengths * other_lengths))


def _moments(flat: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """Mean of every row, and the length of what is left without it: NaN where that is nothing."""
    means, lengths = np.empty((2, len(flat)))
    for k, values in enumerate(flat):
        row = values.astype(np.float64)
        means[k] = row.mean()
        constant = np.ptp(row) <= ROUNDING * np.abs(row).max(initial=0.0)
        lengths[k] = np.nan if constant else np.linalg.norm(row - means[k])
    return means, lengths
