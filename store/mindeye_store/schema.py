"""Names, versions and shapes of what a store holds; how bundle names map to folders.

A *bundle* is a group of arrays that is written, published and removed as one: an image segment,
a subject, or one segment of a target space. Imports numpy only, never zarr.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np

from mindeye_store.errors import InvalidInput

SCHEMA_VERSION = 1
STAGING, LOCKS, LEDGER = "_staging", "_locks", "_ledger"
KINDS = ("images", "subjects", "targets")
# The one attribute key that the store owns; all others belong to the caller.
OWN_KEY = "mindeye"
MEND = "see `mindeye store verify STORE`, then drop and prepare it again"

SHARD_ROWS = 512
# A whole shard is held in memory while it is written, and random rows read it in place.
MAX_SHARD_BYTES = 256 * 2**20
# Rows smaller than this share one inner chunk a shard: an index entry and a checksum of 20 bytes
# for every row of a column of integers would cost more than the column.
ONE_ROW_CHUNK_BYTES = 1024
COLUMN_SHARD_BYTES = 2**20
FLOAT16_LIMIT = 65504.0

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@,=: -]*")
_ARRAY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
_DTYPES = ("float16", "float32", "float64", "uint8", "int16", "int32", "int64")
# What stays readable in a folder's name; a slash and a percent sign never do.
_UNQUOTED = ":+@,= "


@dataclass(frozen=True, slots=True, kw_only=True)
class ArraySpec:
    """One array of a bundle, rows along the first axis.

    Attributes
    ----------
    name : str
        Letters, digits, ``._-``; one slash at most (``roi/streams``).
    shape : tuple of int
    dtype : str
        numpy's name of one of the stored types.
    shard_rows, chunk_rows : int
        Rows in a shard file and in one separately checksummed chunk inside it.
    compressed : bool
        zstd inside the shard; wanted for pixels, labels and text, not for features.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    shard_rows: int
    chunk_rows: int
    compressed: bool

    @property
    def n_shards(self) -> int:
        """Shard files of the whole array."""
        return math.ceil(self.shape[0] / self.shard_rows)

    def span(self, shard: int) -> tuple[int, int]:
        """Return the first row of a shard and the row after its last."""
        start = shard * self.shard_rows
        return start, min(start + self.shard_rows, self.shape[0])

    def shard_key(self, shard: int) -> str:
        """Return the path of a shard's file inside the bundle, as zarr v3 lays it out."""
        return "/".join([self.name, "c", str(shard), *["0"] * (len(self.shape) - 1)])


def make_spec(
    name: str,
    shape: tuple[int, ...],
    dtype: Any,
    *,
    shard_rows: int | None = None,
    compressed: bool | None = None,
) -> ArraySpec:
    """Check an array's description and settle its shard and chunk sizes.

    Left open, `compressed` is true for integers (pixels, labels, text) and false for floats,
    where the best affordable compressor saves 7 % and halves the reading rate.
    """
    kind = np.dtype(dtype).name
    if not _ARRAY_NAME.fullmatch(name) or "c" in name.split("/"):
        raise InvalidInput("not a usable array name", where=repr(name))
    if kind not in _DTYPES:
        raise InvalidInput(f"dtype {kind} cannot be stored, use one of {_DTYPES}", where=name)
    shape = tuple(int(n) for n in shape)
    if not shape or shape[0] < 0 or any(n < 1 for n in shape[1:]):
        raise InvalidInput(f"shape {shape} cannot be stored", where=name)
    row_bytes = math.prod(shape[1:]) * np.dtype(kind).itemsize
    if shard_rows is None:
        small = row_bytes < ONE_ROW_CHUNK_BYTES
        shard_rows = COLUMN_SHARD_BYTES // row_bytes if small else SHARD_ROWS
    shard_rows = max(1, min(shard_rows, shape[0], MAX_SHARD_BYTES // row_bytes))
    chunk_rows = shard_rows if row_bytes < ONE_ROW_CHUNK_BYTES else 1
    return ArraySpec(
        name=name,
        shape=shape,
        dtype=kind,
        shard_rows=shard_rows,
        chunk_rows=chunk_rows,
        compressed=kind[0] != "f" if compressed is None else compressed,
    )


@dataclass(frozen=True, slots=True)
class BundleName:
    """A checked bundle name and the places it owns in a store."""

    kind: str
    parts: tuple[str, ...]
    text: str = field(compare=False)

    @property
    def folder(self) -> Path:
        """Return the published folder, relative to the store."""
        return Path(self.kind, *(encode(part) for part in self.parts))

    @property
    def slug(self) -> str:
        """Return one path component that is unique to this bundle, for staging and locks."""
        return quote(self.text, safe=_UNQUOTED)


def bundle_name(text: str) -> BundleName:
    """Parse ``images/SEGMENT``, ``subjects/NAME`` or ``targets/SPACE/SEGMENT``.

    A space may itself hold slashes (``open_clip:hub/model:tag``); the segment is the last part.
    """
    kind, _, rest = text.partition("/")
    parts = tuple(rest.rsplit("/", 1)) if kind == "targets" else (rest,)
    wanted = 2 if kind == "targets" else 1
    readable = all(_SAFE_NAME.fullmatch(part.replace("/", "x")) for part in parts)
    if kind not in KINDS or len(parts) != wanted or not readable:
        raise InvalidInput(
            "not a bundle name; expected images/SEGMENT, subjects/NAME or targets/SPACE/SEGMENT",
            where=repr(text),
        )
    if kind != "targets" and "/" in rest:
        raise InvalidInput("names of subjects and segments hold no slash", where=repr(text))
    return BundleName(kind, parts, text)


def encode(part: str) -> str:
    """Return a folder name for a subject, segment or space."""
    return quote(part, safe=_UNQUOTED)


def decode(folder: str) -> str:
    """Return the subject, segment or space that a folder name stands for."""
    return unquote(folder)


def canonical_json(value: Mapping[str, Any], what: str) -> str:
    """Return JSON that is equal for equal mappings; refuse what JSON cannot hold exactly."""
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{what} must be plain JSON: {error}") from error


def plan_hash(plan: Mapping[str, Any]) -> str:
    """Return the sha256 that decides whether staged work belongs to the same plan."""
    text = canonical_json({"schema": SCHEMA_VERSION, "plan": plan}, "a plan")
    return hashlib.sha256(text.encode()).hexdigest()
