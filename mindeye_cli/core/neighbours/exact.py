"""Exact search: every row of the shards is compared with every query.

A single query is scanned by faiss straight from the mapped float16 rows, at the speed of memory;
a batch is multiplied by torch in blocks, which decodes each row once for all queries.

Shapes: `q` queries, `N` rows, `D` width, `k` results.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindeye_cli.core.neighbours.collection import BLOCK, Collection, Floats, Ints
from mindeye_cli.core.neighbours.needs import need_faiss
from mindeye_cli.core.threads import thread_count

Mask = NDArray[np.bool_]
# Up to here scanning each query by itself beats decoding every row for all of them at once.
FEW_QUERIES = 6
SCAN_ROWS = 65536  # rows of one thread's turn


def scan(
    collection: Collection,
    queries: Floats,
    k: int,
    places: Sequence[int] | None = None,
    mask: Mask | None = None,
) -> tuple[Floats, Ints]:
    """The nearest rows by inner product in float32.

    Parameters
    ----------
    collection : Collection
    queries : float32 array (q, D)
        At length 1.
    k : int
    places : sequence of int, optional
        Only these shards.
    mask : bool array (N,), optional
        Rows that may be found.

    Returns
    -------
    scores : float32 array (q, k)
        Descending; -inf where there are fewer rows than k.
    positions : int64 array (q, k)
        -1 where there is none.
    """
    chosen = range(len(collection.shards)) if places is None else places
    plain = collection.normalised and mask is None
    half = all(collection.shards[place].dtype == "float16" for place in chosen)
    if plain and half and len(queries) <= FEW_QUERIES:
        found = [_scan_one(collection, query, k, chosen) for query in queries]
        return np.stack([s for s, _ in found]), np.stack([p for _, p in found])
    return _scan_many(collection, queries, k, chosen, mask)


def best(scores: Floats, positions: Ints, k: int) -> tuple[Floats, Ints]:
    """The k highest of each row, descending, padded with -inf and -1."""
    if scores.shape[1] < k:
        short = ((0, 0), (0, k - scores.shape[1]))
        scores = np.pad(scores, short, constant_values=-np.inf)
        positions = np.pad(positions, short, constant_values=-1)
    top, order = torch.from_numpy(scores).topk(k, dim=1)
    return top.numpy(), np.take_along_axis(positions, order.numpy(), 1)


def _scan_one(
    collection: Collection, query: Floats, k: int, places: Sequence[int]
) -> tuple[Floats, Ints]:
    """One query over float16 rows in the map: (k,) and (k,)."""
    faiss = need_faiss()
    quantizer = faiss.ScalarQuantizer(collection.dim, faiss.ScalarQuantizer.QT_fp16)
    query = np.ascontiguousarray(query)

    def turn(task: tuple[int, int]) -> tuple[Floats, Ints]:
        place, low = task
        rows = collection.rows(place)[low : low + SCAN_ROWS]
        scanner = quantizer.select_InvertedListScanner(faiss.METRIC_INNER_PRODUCT, None, True, None)
        scanner.set_query(faiss.swig_ptr(query))
        scanner.set_list(0, 0.0)
        scores = np.full(k, -np.inf, np.float32)
        labels = np.full(k, -1, np.int64)
        codes = np.asarray(rows).view(np.uint8).reshape(-1)
        scanner.scan_codes(
            len(rows),
            faiss.swig_ptr(codes),
            None,
            faiss.swig_ptr(scores),
            faiss.swig_ptr(labels),
            k,
        )
        first = int(collection.starts[place]) + low
        return scores, np.where(labels >= 0, labels + first, -1)

    tasks = [(p, low) for p in places for low in range(0, collection.shards[p].rows, SCAN_ROWS)]
    for place in places:
        collection.rows(place)  # opened here, so that threads only read
    with ThreadPoolExecutor(thread_count() or os.cpu_count() or 1) as pool:
        found = list(pool.map(turn, tasks))
    scores = np.concatenate([s for s, _ in found])[None]
    positions = np.concatenate([p for _, p in found])[None]
    scores, positions = best(scores, positions, k)
    return scores[0], positions[0]


def _scan_many(
    collection: Collection, queries: Floats, k: int, places: Sequence[int], mask: Mask | None
) -> tuple[Floats, Ints]:
    asked = torch.from_numpy(np.ascontiguousarray(queries))
    scores = torch.full((len(queries), k), -torch.inf)
    positions = torch.full((len(queries), k), -1, dtype=torch.int64)
    for place in places:
        for low in range(0, collection.shards[place].rows, BLOCK):
            high = min(low + BLOCK, collection.shards[place].rows)
            first = int(collection.starts[place])
            kept = None if mask is None else np.flatnonzero(mask[first + low : first + high]) + low
            if kept is None:
                block, numbers = collection.block(place, low, high), torch.arange(low, high)
            elif len(kept):
                block, numbers = collection.picked(place, kept), torch.from_numpy(kept)
            else:
                continue
            scores, positions = _merge(scores, positions, asked @ block.T, numbers + first)
    return scores.numpy(), positions.numpy()


def _merge(
    scores: Tensor, positions: Tensor, found: Tensor, numbers: Tensor
) -> tuple[Tensor, Tensor]:
    """Fold a block's products (q, b) into the running best (q, k)."""
    k = scores.shape[1]
    high, at = found.topk(min(k, found.shape[1]), dim=1)
    pool = torch.cat([scores, high], dim=1)
    where = torch.cat([positions, numbers[at]], dim=1)
    top, order = pool.topk(k, dim=1)
    return top, where.gather(1, order)
