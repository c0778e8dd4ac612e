"""The back end of compressed arrays: zarr-python, with its fused pipeline where it has one."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from zarr.core.sync import sync

from mindeye_store.arrays import open_array
from mindeye_store.read import ArrayReader, put


class ZarrReader(ArrayReader):
    """Reads rows through zarr-python."""

    def _open(self) -> Any:
        return open_array(self.bundle, self.spec.name)

    def _read_sorted(self, handle: Any, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        first, last = int(rows[0]), int(rows[-1])
        try:
            if last - first + 1 == rows.size:
                return put(np.asarray(handle[first : last + 1]), places)
            return put(np.asarray(handle.oindex[rows]), places)
        except Exception:  # whatever it was is raised again, once the other chunks have ended
            sync(_settle())
            raise


async def _settle() -> None:
    """Let the other chunks of a failed read end.

    zarr raises at the first bad chunk and leaves the rest pending in its event loop; asyncio would
    print a traceback for each of them when the process ends.
    """
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
