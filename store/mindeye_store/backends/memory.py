"""Rows kept in RAM: read once, by another back end, then served from memory.

`preload` loads everything at the first read. `auto` keeps what was asked for, so a program that
wants a hundred rows of a large array does not wait for all of it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_store.backends.gather import gather
from mindeye_store.read import Reader, check_rows

_BLOCK_BYTES = 2**26


class MemoryReader:
    """Serves the rows of another reader from RAM.

    Parameters
    ----------
    base : Reader
    preload : bool
        Load everything at the first read.
    """

    def __init__(self, base: Reader, *, preload: bool) -> None:
        self.base, self.preload = base, preload
        self._lock = threading.Lock()
        self._have: np.ndarray | None = None
        self._rows = np.empty((0, *base.shape[1:]), base.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows first."""
        return self.base.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Stored type."""
        return self.base.dtype

    @property
    def attrs(self) -> Mapping[str, Any]:
        """Attributes of the bundle."""
        return self.base.attrs

    def __len__(self) -> int:
        return len(self.base)

    def read(self, rows: Any) -> np.ndarray:
        """See `Reader.read`."""
        wanted = check_rows(rows, len(self), "rows")
        with self._lock:
            if self._have is None:
                # Pages of an empty array cost nothing until rows are put there.
                self._rows = np.empty(self.shape, self.dtype)
                self._have = np.zeros(len(self), bool)
            asked = np.arange(len(self)) if self.preload and not self._have.all() else wanted
            missing = np.unique(asked[~self._have[asked]])
            for block in self._blocks(missing):
                self._rows[block] = self.base.read(block)
                self._have[block] = True
        return gather(self._rows, wanted)

    def _blocks(self, rows: np.ndarray) -> list[np.ndarray]:
        row_bytes = self._rows[:1].nbytes or 1
        step = max(1, _BLOCK_BYTES // row_bytes)
        return [rows[start : start + step] for start in range(0, rows.size, step)]

    def __getstate__(self) -> dict[str, Any]:
        return {"base": self.base, "preload": self.preload}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["base"], preload=state["preload"])  # type: ignore[misc]


def free_memory() -> int:
    """Return how many bytes can be taken without swapping; 0 when that cannot be known.

    The smaller of the machine's and the control group's, which is what SLURM limits.
    """
    known = [_meminfo(), _cgroup()]
    return min((value for value in known if value is not None), default=0)


def _meminfo() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


def _cgroup() -> int | None:
    try:
        group = Path("/proc/self/cgroup").read_text().strip().rpartition("::")[2].lstrip("/")
        folder = Path("/sys/fs/cgroup") / group
        limit = (folder / "memory.max").read_text().strip()
        return None if limit == "max" else int(limit) - int((folder / "memory.current").read_text())
    except (OSError, ValueError):
        return None
