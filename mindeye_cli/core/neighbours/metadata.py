"""Metadata of found rows, read by row group, and which rows a filter leaves.

Shapes: `N` rows of the collection.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.core.neighbours.collection import Collection, Ints
from mindeye_cli.core.neighbours.exact import Mask
from mindeye_cli.core.neighbours.needs import need_pyarrow
from mindeye_cli.core.neighbours.where import parse_where
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem

logger = logging.getLogger("mindeye")
FILES_OPEN = 64
BATCH_ROWS = 65536  # of a filter


def fetch(collection: Collection, positions: Ints) -> list[dict[str, Any]]:
    """Metadata of some rows, in their order; {} for rows of shards without metadata.

    Parameters
    ----------
    collection : Collection
    positions : int64 array (m,)

    Returns
    -------
    list of dict
        Column -> value. Only the row groups that hold the rows are read.
    """
    records: list[dict[str, Any]] = [{} for _ in positions]
    places, rows = collection.locate(positions)
    for place in np.unique(places):
        shard = collection.shards[place]
        if shard.metadata is None:
            continue
        at = np.flatnonzero(places == place)
        found = _fetch_rows(collection.root / shard.metadata, rows[at])
        for spot, record in zip(at.tolist(), found, strict=True):
            records[spot] = record
    return records


def column_names(collection: Collection) -> list[str]:
    """Columns of the first shard's metadata."""
    first = collection.shards[0].metadata
    return [] if first is None else list(_open(collection.root / first)[0].schema_arrow.names)


def allowed(collection: Collection, expression: str) -> Mask:
    """Which rows a filter leaves.

    Parameters
    ----------
    collection : Collection
    expression : str
        See `parse_where`. A row for which it is unknown (null) is left out.

    Returns
    -------
    bool array (N,)

    Raises
    ------
    UsageProblem
        The expression is not one, or names columns that there are not.
    MissingResource
        A shard has no metadata.
    InvalidInput
        Shards whose columns have other types, or no row is left.
    """
    dataset = need_pyarrow("pyarrow.dataset")
    condition, used = parse_where(expression)
    there = column_names(collection)
    for name in sorted(used):
        if there and name not in there:
            raise UsageProblem(
                f"the metadata has no column {name!r}",
                where="--where",
                fix=f"columns: {', '.join(there)}",
            )
    mask = np.zeros(len(collection), dtype=bool)
    for place, shard in enumerate(collection.shards):
        if shard.metadata is None:
            raise MissingResource(
                "the shard has no metadata to filter by",
                where=str(collection.root / shard.vectors),
                fix="search without --where",
            )
        file = collection.root / shard.metadata
        row = int(collection.starts[place])
        try:
            scanner = dataset.dataset(file, format="parquet").scanner(
                columns={"kept": condition}, batch_size=BATCH_ROWS
            )
            for batch in scanner.to_batches():
                kept = batch.column(0).fill_null(False).to_numpy(zero_copy_only=False)
                mask[row : row + len(kept)] = kept
                row += len(kept)
        except need_pyarrow("pyarrow.lib").ArrowException as problem:
            raise InvalidInput(
                f"the filter does not fit the columns: {problem}",
                where=str(file),
                fix="compare text with text and numbers with numbers",
            ) from problem
    if not mask.any():
        raise InvalidInput("the filter leaves no row", where=f"--where {expression}")
    logger.info("the filter leaves %d of %d rows", mask.sum(), len(mask))
    return mask


@lru_cache(maxsize=FILES_OPEN)
def _open(file: Path) -> tuple[Any, Ints]:
    """A parquet file, and where each of its row groups begins."""
    opened = need_pyarrow("pyarrow.parquet").ParquetFile(file, memory_map=True)
    groups = opened.metadata
    sizes = [groups.row_group(number).num_rows for number in range(groups.num_row_groups)]
    return opened, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _fetch_rows(file: Path, rows: Ints) -> list[dict[str, Any]]:
    opened, starts = _open(file)
    group_of = np.searchsorted(starts, rows, side="right") - 1
    records: list[dict[str, Any]] = [{} for _ in rows]
    for group in np.unique(group_of):
        at = np.flatnonzero(group_of == group)
        table = opened.read_row_group(int(group), use_threads=False)
        for spot, record in zip(
            at.tolist(), table.take(rows[at] - starts[group]).to_pylist(), strict=True
        ):
            records[spot] = record
    return records
