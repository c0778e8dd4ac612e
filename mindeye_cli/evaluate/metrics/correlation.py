"""Pearson correlations between the rows of two feature matrices.

Shapes: `n` rows, `F` features.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Features of a constant picture are constant but for rounding in float32.
ROUNDING = 1e-6


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
    return np.asarray(_standard(first) @ _standard(second).T)


def _standard(rows: NDArray[np.floating]) -> Floats:
    flat = rows.reshape(len(rows), -1).astype(np.float64)
    constant = np.ptp(flat, axis=1) <= ROUNDING * np.abs(flat).max(axis=1)
    centred = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1)
    length[constant] = np.nan
    return np.asarray(centred / length[:, None])
