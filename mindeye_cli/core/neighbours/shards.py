"""Embedding shards as clip-retrieval and LAION publish them, found and checked by their headers.

`img_emb/img_emb_0000.npy` (`N` rows of `D`, float16 or float32) and, beside that folder,
`metadata/metadata_0000.parquet` with as many rows. A folder of `img_emb_*.npy` alone will do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.neighbours.needs import need_pyarrow
from mindeye_store.errors import InvalidInput, MissingResource

DTYPES = ("float16", "float32")
_NAME = re.compile(r"(img_emb_)?(?P<number>\d+)\.npy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One file of embeddings and its metadata.

    Attributes
    ----------
    name : str
        The file's name without `.npy`; what ids begin with.
    vectors : str
        Path under the folder of shards.
    metadata : str or None
        Path of the parquet file under the same folder.
    rows, dim : int
    dtype : {"float16", "float32"}
    stamp : tuple of int
        Size in bytes and modification time in ns of the vectors, then of the metadata: equal
        stamps are taken for equal files.
    sha256 : str
        Of the vectors' file; empty until it was read.
    """

    name: str
    vectors: str
    metadata: str | None
    rows: int
    dim: int
    dtype: str
    stamp: tuple[int, ...]
    sha256: str = ""


def find_shards(folder: Path) -> list[Shard]:
    """Every shard of a folder in the order of their numbers.

    Parameters
    ----------
    folder : Path
        With `img_emb/`, or with the `.npy` files themselves.

    Returns
    -------
    list of Shard

    Raises
    ------
    MissingResource
        No such folder, or no shard in it.
    InvalidInput
        A truncated file, other types or widths, or metadata of another length.
    """
    if not folder.is_dir():
        raise MissingResource("no such folder", where=str(folder), fix="check the path")
    home = folder / "img_emb" if (folder / "img_emb").is_dir() else folder
    found = sorted(
        (int(match["number"]), path.name, path)
        for path in home.glob("*.npy")
        if (match := _NAME.fullmatch(path.name))
    )
    if not found:
        raise MissingResource(
            "no embedding shards such as img_emb/img_emb_0000.npy",
            where=str(folder),
            fix="give the folder that holds img_emb/ and metadata/",
        )
    metadata = _metadata_by_number(folder)
    shards = [_describe(folder, path, metadata, number) for number, _, path in found]
    first = shards[0]
    for shard in shards:
        if shard.dim != first.dim:
            raise InvalidInput(
                f"rows of {shard.dim} numbers, those of {first.vectors} have {first.dim}",
                where=str(folder / shard.vectors),
                fix="index the embeddings of one model at a time",
            )
    return shards


def stamp_of(*paths: Path) -> tuple[int, ...]:
    """Size and modification time of files, in their order."""
    return tuple(
        number for path in paths for number in (path.stat().st_size, path.stat().st_mtime_ns)
    )


def open_rows(path: Path) -> NDArray[Any]:
    """Map a shard's rows into memory, (N, D), read-only.

    Raises
    ------
    InvalidInput
        The file is truncated, or is no matrix of float16 or float32 in C order.
    """
    try:
        rows: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as problem:
        raise InvalidInput(
            f"not a whole .npy file: {problem}", where=str(path), fix="fetch the shard again"
        ) from problem
    if rows.ndim != 2 or rows.dtype.name not in DTYPES or not rows.flags["C_CONTIGUOUS"]:
        raise InvalidInput(
            f"holds {rows.dtype} of shape {rows.shape}, not rows of float16 or float32",
            where=str(path),
            fix="save the embeddings with numpy.save, one row an image",
        )
    if not len(rows):
        raise InvalidInput("holds no rows", where=str(path), fix="remove the empty shard")
    return rows


def _metadata_by_number(folder: Path) -> dict[int, Path]:
    files = (folder / "metadata").glob("*.parquet")
    found = ((re.search(r"(\d+)$", path.stem), path) for path in files)
    return {int(match[1]): path for match, path in found if match}


def _describe(folder: Path, path: Path, metadata: dict[int, Path], number: int) -> Shard:
    rows, table = open_rows(path), metadata.get(number)
    if metadata and table is None:
        raise MissingResource(
            "the shard has no metadata, others have",
            where=str(path),
            fix=f"add metadata/metadata_{number:04d}.parquet",
        )
    if table is not None:
        _need_as_many(table, path, len(rows))
    return Shard(
        name=path.stem,
        vectors=str(path.relative_to(folder)),
        metadata=None if table is None else str(table.relative_to(folder)),
        rows=len(rows),
        dim=rows.shape[1],
        dtype=rows.dtype.name,
        stamp=stamp_of(path, *(() if table is None else (table,))),
    )


def _need_as_many(table: Path, vectors: Path, rows: int) -> None:
    parquet = need_pyarrow("pyarrow.parquet")
    lib = need_pyarrow("pyarrow.lib")
    try:
        there = int(parquet.read_metadata(table).num_rows)
    except (lib.ArrowInvalid, OSError) as problem:
        raise InvalidInput(
            f"not a whole parquet file: {problem}", where=str(table), fix="fetch it again"
        ) from problem
    if there != rows:
        raise InvalidInput(
            f"{there} rows of metadata for {rows} of embeddings in {vectors.name}",
            where=str(table),
            fix="fetch both files of the shard again",
        )
