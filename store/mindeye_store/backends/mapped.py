"""The map back end: rows of uncompressed arrays, copied out of a memory map of the shard files.

The kernel reads pages as they are touched, so nothing is slower when they are not in its cache, and
on a network file system a failed read ends the process without a word. It is there to be asked for.
"""

from __future__ import annotations

import mmap
import os
from typing import Any

import numpy as np

from mindeye_store.backends.direct import CRC_BYTES, DirectReader, check_crc


class MapReader(DirectReader):
    """Reads rows through a map of each shard, opened at its first read."""

    def _read_sorted(self, handle: Any, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        values = np.empty((rows.size, *self.shape[1:]), self.dtype.newbyteorder("<"))
        target = values.reshape(rows.size, -1).view(np.uint8)
        home = rows // self.spec.shard_rows
        for shard in np.unique(home).tolist():
            if shard not in handle:
                handle[shard] = self._map(shard)
            data, starts = handle[shard]
            mine = np.flatnonzero(home == shard)
            within = rows[mine] - shard * self.spec.shard_rows
            offsets = starts[within].tolist()
            for place, offset in zip(places[mine].tolist(), offsets, strict=True):
                end = offset + target.shape[1]
                if end + CRC_BYTES > data.size:
                    raise ValueError("the file ends early")
                target[place] = data[offset:end]
                check_crc(_still(target[place]), data[end : end + CRC_BYTES].tobytes())
        return values.astype(self.dtype, copy=False)

    def _map(self, shard: int) -> tuple[np.ndarray, np.ndarray]:
        descriptor = os.open(self._guard.path(shard), os.O_RDONLY)
        try:
            starts = self._index(descriptor)
            data = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(descriptor)
        return np.frombuffer(data, np.uint8), starts


def _still(row: np.ndarray) -> np.ndarray:
    """A row that cannot be written: google_crc32c takes nothing that could still change."""
    row.flags.writeable = False
    return row
