"""Inner products of wide rows, without a copy of them in double precision."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Features multiplied at once: bounds the memory at 257 x 768 tokens.
CHUNK_FEATURES = 16384


def centred_gram(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Inner products of rows less their mean.

    Parameters
    ----------
    rows : float array (G, ...)
        Flattened after the first axis.

    Returns
    -------
    float64 array (G, G)
    """
    flat = rows.reshape(len(rows), -1)
    found = np.zeros((len(flat), len(flat)))
    for start in range(0, flat.shape[1], CHUNK_FEATURES):
        part = flat[:, start : start + CHUNK_FEATURES].astype(np.float64)
        part -= part.mean(axis=0)
        found += part @ part.T
    return found
