"""A session's betas in a MATLAB file of version 5 (`save` without `-v7.3`), streamed by volume.

Such a file is a list of variables, each packed by zlib on its own or not at all; a variable's
values come last, column-major, so that volumes follow one another as in NIfTI. scipy would hold
the whole session in memory, a gigabyte at NSD's size. Layout: MathWorks, "MAT-File Format".

Shapes: `X Y Z` volume, `K` volumes (trials).
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.prepare.nsd.betas import BetaSeries
from mindeye_cli.prepare.nsd.gunzip import Gunzip
from mindeye_cli.prepare.nsd.volumes import DOWNLOAD_AGAIN
from mindeye_store.errors import InvalidInput

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
# Types of stored values, and the classes of arrays that they may stand for.
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 10: "i2", 12: "i4"}
_COMPLEX = 0x0800
# Longest part of a variable's head: its name or its axes.
_LONGEST = 4096
_MOST_VARIABLES = 1000


class _Damaged(Exception):
    """The file breaks the format; the message says how."""


class _Stream:
    """What `Gunzip` reads, counted, and never less than was asked for."""

    def __init__(self, stream: Gunzip, order: str) -> None:
        self.stream, self.order, self.place = stream, order, 0

    def take(self, size: int) -> bytes:
        data = bytes(self.stream.read(size))
        if len(data) < size:
            raise _Damaged("it ends early")
        self.place += size
        return data

    def tag(self) -> tuple[int, int, bytes | None]:
        """Type, size, and the data where they fit into the tag itself."""
        head = self.take(8)
        kind, size = struct.unpack(self.order + "II", head)
        if kind >> 16:
            return kind & 0xFFFF, kind >> 16, head[4 : 4 + (kind >> 16)]
        return kind, size, None

    def element(self) -> bytes:
        """A short element's data."""
        _, size, data = self.tag()
        if data is not None:
            return data
        if size > _LONGEST:
            raise _Damaged(f"a name or list of axes of {size} bytes")
        return self.take(size + -size % 8)[:size]


def open_mat5(path: Path, name: str = "betas") -> BetaSeries:
    """Read the head of one session's betas.

    Raises
    ------
    InvalidInput
        Not such a file, no variable of that name, or one that is no 4-D array of integers or
        floats.
    """
    try:
        return _find(path, name)
    except (_Damaged, zlib.error, EOFError, OSError, struct.error, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"cannot be read as a MATLAB file of version 5 or 7.3: {error}",
            where=str(path),
            fix=DOWNLOAD_AGAIN,
        ) from error


def _find(path: Path, name: str) -> BetaSeries:
    with path.open("rb") as file:
        head = file.read(_HEADER)
        order = {b"IM": "<", b"MI": ">"}.get(head[126:128])
        if order is None or struct.unpack(order + "H", head[124:126])[0] != 0x0100:
            raise _Damaged("no such header")
        names: list[str] = []
        end = path.stat().st_size
        place = _HEADER
        while place < end and len(names) < _MOST_VARIABLES:
            file.seek(place)
            kind, size = struct.unpack(order + "II", file.read(8))
            if kind not in (_MATRIX, _COMPRESSED) or place + 8 + size > end:
                raise _Damaged(f"an element of kind {kind} and {size} bytes at byte {place}")
            found = _variable(path, place, kind == _COMPRESSED, order, name)
            if isinstance(found, BetaSeries):
                return found
            names.append(found)
            place += 8 + size
    listed = ", ".join(map(ascii, names[:8])) or "nothing"
    raise InvalidInput(f"variable {name} is missing; the file holds {listed}", where=str(path))


def _variable(path: Path, place: int, packed: bool, order: str, wanted: str) -> BetaSeries | str:
    """The variable at a place, or its name when it is another."""
    start = place + 8 if packed else place
    packing: Any = "zlib" if packed else "none"
    with Gunzip(path, packing, start) as opened:
        stream = _Stream(opened, order)
        if stream.tag()[0] != _MATRIX:
            raise _Damaged(f"no array at byte {place}")
        flags = struct.unpack(order + "I", stream.element()[:4])[0]
        axes = stream.element()
        shape = struct.unpack(f"{order}{len(axes) // 4}i", axes[: len(axes) // 4 * 4])
        name = stream.element().decode("ascii")
        if name != wanted:
            return name
        where = f"{path}, variable {name}"
        kept = _CLASSES.get(flags & 0xFF)
        if kept is None or flags & _COMPLEX:
            raise InvalidInput("not an array of int16 or of real single values", where=where)
        if len(shape) != 4 or min(shape) < 1:
            raise InvalidInput(f"betas have shape {shape}, not 4 axes", where=where)
        kind, size, data = stream.tag()
        stored = _STORED.get(kind)
        if stored is None or data is not None:
            raise _Damaged(f"values of kind {kind}")
        dtype = np.dtype(order + stored)
        if size != math.prod(shape) * dtype.itemsize:
            raise _Damaged(f"{size} bytes of values for {shape} of {dtype}")
    return BetaSeries(
        path=path,
        shape=tuple(shape[:3]),
        n_volumes=shape[3],
        dtype=dtype,
        offset=stream.place,
        packing=packing,
        start=start,
        kept=np.dtype(kept),
    )
