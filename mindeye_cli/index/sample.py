"""Which rows train the centroids, and which are kept from training to measure the recall with.

Shapes: `N` rows of the collection, `D` width, `s` rows drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mindeye_cli.core.neighbours.collection import Collection, Floats, Ints
from mindeye_cli.core.neighbours.shards import Shard
from mindeye_cli.core.sampler import rng
from mindeye_store.errors import InvalidInput

# Fixed where it can be, so that training takes the same memory for any number of vectors.
SAMPLE_ROWS = 65536
ROWS_PER_LIST = 32


def sample_size(rows: int, lists: int) -> int:
    """How many rows train; at most four fifths of the collection, the rest can be asked for."""
    return min(max(SAMPLE_ROWS, ROWS_PER_LIST * lists), rows * 4 // 5)


def training_rows(rows: int, lists: int, seed: int) -> Ints:
    """Positions of the rows that train, ascending."""
    chosen = rng(seed, "index", "train").choice(
        rows, size=sample_size(rows, lists), replace=False, shuffle=False
    )
    return np.sort(chosen).astype(np.int64)


def training_sample(collection: Collection, lists: int, seed: int) -> Floats:
    """Rows to train with, float32 (s, D).

    Raises
    ------
    InvalidInput
        Fewer rows than lists.
    """
    positions = training_rows(len(collection), lists, seed)
    if len(positions) < lists:
        raise InvalidInput(
            f"{len(collection)} vectors are too few for {lists} lists",
            where=str(collection.root),
            fix="--kind exact, or fewer --lists",
        )
    sample: Floats = collection.gather(positions).numpy()
    bad = np.flatnonzero(~np.isfinite(sample).all(axis=1))
    if len(bad):
        raise InvalidInput(
            "the row is not finite",
            where=collection.names(positions[bad[:1]])[0],
            fix="make the shard's embeddings again",
        )
    return sample


def trained_names(trained_on: Sequence[Sequence[object]], lists: int, seed: int) -> set[str]:
    """SHARD:ROW of the rows that trained, from the record of the shards that there were."""
    names = [str(name) for name, _ in trained_on]
    ends = np.cumsum([int(str(rows)) for _, rows in trained_on])
    chosen = training_rows(int(ends[-1]), lists, seed)
    places = np.searchsorted(ends, chosen, side="right")
    starts = np.concatenate([[0], ends[:-1]])
    return {
        f"{names[place]}:{row - starts[place]}"
        for place, row in zip(places.tolist(), chosen.tolist(), strict=True)
    }


def record_of(shards: Sequence[Shard], plan_seed: int) -> dict[str, object]:
    """What is kept of a training sample: enough to draw the same rows again."""
    return {"shards": [[shard.name, shard.rows] for shard in shards], "seed": plan_seed}


def held_out(collection: Collection, count: int, trained: set[str], seed: int) -> Ints:
    """Positions of rows that did not train, at most `count` of them, ascending."""
    rows = len(collection)
    drawn = rng(seed, "index", "check").choice(
        rows, size=min(rows, 8 * count), replace=False, shuffle=True
    )
    names = collection.names(drawn)
    kept = [position for position, name in zip(drawn, names, strict=True) if name not in trained]
    return np.sort(np.asarray(kept[:count], dtype=np.int64))
