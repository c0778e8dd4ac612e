"""FreeSurfer's MGH files (`.mgh`, or `.mgz` when packed by gzip): maps over vertices.

A head of seven big-endian integers (version 1, four axes, type, one that is not used), then values
from byte 284 on, first axis fastest (FreeSurfer wiki, "MghFormat"). nibabel reads them too, but
leaves the file open and believes whatever size the head claims.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.prepare.nsd.gunzip import Gunzip
from mindeye_cli.prepare.nsd.layout import need_file
from mindeye_cli.prepare.nsd.volumes import DOWNLOAD_AGAIN, MAX_VOXELS
from mindeye_store.errors import InvalidInput

OFFSET = 284
_TYPES = {0: "u1", 1: ">i4", 3: ">f4", 4: ">i2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MghHead:
    """Axes (X, Y, Z, frames) and stored type of a file."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def read_head(path: Path, what: str) -> MghHead:
    """Read the head of a file.

    Raises
    ------
    MissingResource
        No such file.
    InvalidInput
        Not MGH.
    """
    need_file(path, what)
    try:
        with Gunzip(path) as stream:
            head = bytes(stream.read(28))
    except (EOFError, OSError, zlib.error) as error:
        raise _damaged(path, what, str(error) or "it ends early") from error
    if len(head) < 28:
        raise _damaged(path, what, "it ends early")
    version, *shape, kind, _ = struct.unpack(">7i", head)
    if version != 1 or kind not in _TYPES or min(shape) < 1:
        raise _damaged(path, what, f"version {version}, axes {tuple(shape)}, type {kind}")
    return MghHead(shape=tuple(shape), dtype=np.dtype(_TYPES[kind]))


def read_map(path: Path, what: str) -> NDArray[Any]:
    """Values of a map over vertices, (n,), in native byte order.

    Raises
    ------
    MissingResource
        No such file.
    InvalidInput
        Not MGH, several frames, or the file ends early.
    """
    head = read_head(path, what)
    count = math.prod(head.shape)
    if head.shape != (count, 1, 1, 1) or count > MAX_VOXELS:
        raise InvalidInput(f"{what} has axes {head.shape}, no map over vertices", where=str(path))
    size = count * head.dtype.itemsize
    try:
        with Gunzip(path) as stream:
            stream.skip(OFFSET)
            data = stream.read(size)
    except (EOFError, OSError, zlib.error) as error:
        raise _damaged(path, what, str(error) or "it ends early") from error
    if len(data) < size:
        raise _damaged(path, what, "it ends early")
    return np.frombuffer(data, head.dtype).astype(head.dtype.newbyteorder("="))


def _damaged(path: Path, what: str, reason: str) -> InvalidInput:
    return InvalidInput(
        f"{what} cannot be read as MGH: {reason}", where=str(path), fix=DOWNLOAD_AGAIN
    )
