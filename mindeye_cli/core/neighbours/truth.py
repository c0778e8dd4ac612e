"""Scores from the shards: the cosines that are reported, and those that re-order candidates.

Shapes: `q` queries, `D` width, `R` candidates of a query, `k` results.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from mindeye_cli.core.neighbours.collection import Collection, Floats, Ints

Doubles = NDArray[np.float64]
# More than asked for are ranked again in float64, so that rounding in float32 decides nothing.
MARGIN = 16
# Equal rows tie whatever the order of summation; ties are kept in the order of the shards.
DECIMALS = 9
# Small enough to stay in the cache, and to search where memory is short.
CANDIDATES_AT_ONCE = 2048


def rescore(collection: Collection, queries: Floats, positions: Ints) -> Floats:
    """Float32 cosines of candidates, read from the shards.

    Parameters
    ----------
    collection : Collection
    queries : float32 array (q, D)
        At length 1.
    positions : int64 array (q, R)
        -1 where there is none.

    Returns
    -------
    float32 array (q, R)
        -inf where there is none.
    """
    out = np.empty(positions.shape, np.float32)
    for query, asked in enumerate(torch.from_numpy(queries)):
        order = np.argsort(positions[query])
        for low in range(0, len(order), CANDIDATES_AT_ONCE):
            part = order[low : low + CANDIDATES_AT_ONCE]
            rows = collection.gather(np.maximum(positions[query, part], 0))
            out[query, part] = (rows @ asked).numpy()
    out[positions < 0] = -np.inf
    return out


def rank(collection: Collection, queries: Floats, positions: Ints, k: int) -> tuple[Doubles, Ints]:
    """The k best candidates by cosine in float64.

    Parameters
    ----------
    collection : Collection
    queries : float32 array (q, D)
    positions : int64 array (q, R)
        At least k; -1 where there is none.

    Returns
    -------
    scores : float64 array (q, k)
        Rounded to 9 decimals, descending; -inf where there is none.
    positions : int64 array (q, k)
        Of equal scores the earlier row comes first.
    """
    scores = np.full(positions.shape, -np.inf)
    step = max(1, CANDIDATES_AT_ONCE // max(1, positions.shape[1]))
    for low in range(0, len(queries), step):
        part = positions[low : low + step]
        rows = collection.gather(np.maximum(part, 0).ravel()).numpy().astype(np.float64)
        asked = queries[low : low + step].astype(np.float64)
        # Not a matrix product: a pair's sum must not depend on what is beside it.
        found = np.einsum("qrd,qd->qr", rows.reshape(*part.shape, -1), asked)
        scores[low : low + step] = np.round(found, DECIMALS)
    scores[positions < 0] = -np.inf
    later = np.where(positions < 0, np.iinfo(np.int64).max, positions)
    order = np.lexsort((later, -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, order, 1), np.take_along_axis(positions, order, 1)
