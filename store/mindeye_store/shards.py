"""Is a shard all there? Asked before its first read, and cheaply again after every read.

zarr answers a missing file or a missing row with the fill value and says nothing (3.1 ignores
its own setting, 3.4 looks at whole shards only), so the ledger, the file and the shard's own
index are looked at here.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from mindeye_store import ledger
from mindeye_store.errors import InvalidInput
from mindeye_store.schema import MEND, ArraySpec

# An index entry is an offset and a length; both all ones mean that the chunk is absent.
_ABSENT = np.uint64(2**64 - 1)
_ENTRY_BYTES, _CHECKSUM_BYTES = 16, 4


class ShardGuard:
    """Checks the shards of one published array, each fully once.

    Parameters
    ----------
    bundle : Path
        Folder of the bundle.
    spec : ArraySpec
    """

    def __init__(self, bundle: Path, spec: ArraySpec) -> None:
        self.bundle, self.spec = bundle, spec
        self._seen: dict[int, tuple[int, int, int]] = {}

    def check(self, shards: list[int]) -> None:
        """Check shards that were not looked at before.

        Raises
        ------
        InvalidInput
            A ledger entry, a file or a row is missing, or a file has the wrong size.
        """
        for shard in shards:
            if shard not in self._seen:
                self._seen[shard] = self._check(shard)

    def recheck(self, shards: list[int]) -> None:
        """Make sure that no checked shard went away or was replaced while it was read."""
        for shard in shards:
            if self._signature(shard) != self._seen[shard]:
                raise InvalidInput(
                    "the shard was removed or replaced while it was read",
                    where=str(self.path(shard)),
                    fix="run the same command again",
                )

    def path(self, shard: int) -> Path:
        """Return a shard's file."""
        return self.bundle / self.spec.shard_key(shard)

    def _check(self, shard: int) -> tuple[int, int, int]:
        entry = ledger.read_entry(self.bundle, self.spec.name, shard)
        path = self.path(shard)
        if entry is None or entry.rows != self.spec.span(shard):
            raise _refusal("the shard is not in the ledger", path)
        signature = self._signature(shard)
        if signature is None:
            raise _refusal("the shard is missing", path)
        if signature[1] != entry.size:
            raise _refusal(f"the shard has {signature[1]} bytes instead of {entry.size}", path)
        self._check_index(shard, signature[1])
        return signature

    def _check_index(self, shard: int, size: int) -> None:
        spec, path = self.spec, self.path(shard)
        length = spec.shard_rows // spec.chunk_rows * _ENTRY_BYTES
        with path.open("rb") as handle:
            handle.seek(size - length - _CHECKSUM_BYTES)
            offsets = np.frombuffer(handle.read(length), dtype="<u8")[::2]
        start, stop = spec.span(shard)
        used = offsets[: -(-(stop - start) // spec.chunk_rows)]
        absent = np.flatnonzero(used == _ABSENT)
        if absent.size:
            row = start + int(absent[0]) * spec.chunk_rows
            raise _refusal(f"row {row} is missing from its shard", path)

    def _signature(self, shard: int) -> tuple[int, int, int] | None:
        try:
            stat = os.stat(self.path(shard))
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _refusal(message: str, path: Path) -> InvalidInput:
    return InvalidInput(message, where=str(path), fix=MEND)
