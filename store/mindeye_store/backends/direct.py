"""The direct back end: rows of uncompressed arrays, read in place from the shard files.

A shard ends in an index of (offset, length) for every row, then a checksum; each row's bytes are
followed by their crc32c (zarr v3, sharding codec). The kernel is told of all rows of a request
before the first is read, so that it fetches them together. A memory map would be as fast, but there
an error of a network file system ends the process without a word, where `pread` says what is wrong.
"""

from __future__ import annotations

import os
from typing import Any

import google_crc32c
import numpy as np

from mindeye_store.read import ArrayReader
from mindeye_store.schema import ArraySpec

CRC_BYTES, _ENTRY_BYTES = 4, 16


def can_read(spec: ArraySpec) -> bool:
    """Whether rows lie in the shards as they are, one chunk each."""
    return not spec.compressed and spec.chunk_rows == 1


class DirectReader(ArrayReader):
    """Reads rows with one system call each."""

    def _open(self) -> dict[int, np.ndarray]:
        return {}  # by shard, the byte at which every row begins

    def _read_sorted(self, handle: Any, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        values = np.empty((rows.size, *self.shape[1:]), self.dtype.newbyteorder("<"))
        home = rows // self.spec.shard_rows
        for shard in np.unique(home).tolist():
            descriptor = os.open(self._guard.path(shard), os.O_RDONLY)
            try:
                if shard not in handle:
                    handle[shard] = self._index(descriptor)
                mine = np.flatnonzero(home == shard)
                offsets = handle[shard][rows[mine] - shard * self.spec.shard_rows]
                _fetch(descriptor, offsets.tolist(), values, places[mine].tolist())
            finally:
                os.close(descriptor)
        return values.astype(self.dtype, copy=False)

    def _index(self, descriptor: int) -> np.ndarray:
        length = self.spec.shard_rows * _ENTRY_BYTES
        end = os.fstat(descriptor).st_size
        data = os.pread(descriptor, length + CRC_BYTES, end - length - CRC_BYTES)
        check_crc(data[:length], data[length:])
        return np.frombuffer(data, "<u8", 2 * self.spec.shard_rows)[::2]


def _fetch(descriptor: int, offsets: list[int], values: np.ndarray, places: list[int]) -> None:
    """Read rows into their places and compare their checksums."""
    size = values[:1].nbytes
    for offset in offsets:
        os.posix_fadvise(descriptor, offset, size + CRC_BYTES, os.POSIX_FADV_WILLNEED)
    for place, offset in zip(places, offsets, strict=True):
        row, given = values[place : place + 1].reshape(-1).view(np.uint8), bytearray(CRC_BYTES)
        if os.preadv(descriptor, [row.data, given], offset) != size + CRC_BYTES:
            raise ValueError("the file ends early")
        row.flags.writeable = False  # google_crc32c takes nothing that could still change
        check_crc(row, given)


def check_crc(data: Any, given: bytes | bytearray) -> None:
    """Compare bytes with the crc32c that is kept beside them; a ValueError where they differ."""
    if google_crc32c.value(data) != int.from_bytes(given, "little"):
        raise ValueError("crc32c")
