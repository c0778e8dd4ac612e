"""Write one staged array shard by shard, each whole, by one owner, its ledger entry last."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mindeye_store import ledger
from mindeye_store.arrays import open_array
from mindeye_store.errors import InvalidInput
from mindeye_store.files import disk_errors
from mindeye_store.guard import checked
from mindeye_store.schema import ArraySpec

if TYPE_CHECKING:
    import zarr


class ArrayWriter:
    """Writes the shards of one staged array that belong to one part.

    Parameters
    ----------
    spec : ArraySpec
    folder : Path or None
        The staged bundle; None when the bundle is published already and nothing is to be done.
    part : (int, int)
        (i, n): shards with index % n == i are this writer's.
    """

    def __init__(self, spec: ArraySpec, folder: Path | None, part: tuple[int, int]) -> None:
        self.spec = spec
        self._folder, self._part = folder, part
        self._array: zarr.Array[Any] | None = None

    def pending(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield each shard still to write with its rows, int64, in order."""
        if self._folder is not None:
            for shard in ledger.pending(self._folder, self.spec, self._part):
                yield shard, np.arange(*self.spec.span(shard), dtype=np.int64)

    def write(self, shard: int, values: Any) -> None:
        """Write one whole shard and enter it in the ledger.

        Parameters
        ----------
        shard : int
        values : array_like
            Shape (rows of the shard, *shape[1:]).

        Raises
        ------
        InvalidInput
            The values cannot be stored as they are; nothing was written.
        PartialResult
            The disk is full.
        """
        folder, (index, count) = self._folder, self._part
        if folder is None or not 0 <= shard < self.spec.n_shards or shard % count != index:
            raise IndexError(
                f"{self.spec.name}: shard {shard} is not to be written by {self._part}"
            )
        array, largest = checked(values, self.spec, shard)
        with disk_errors(folder / self.spec.name):
            ledger.entry_path(folder, self.spec.name, shard).unlink(missing_ok=True)
            _clear_shard(folder, self.spec, shard)
            if self._array is None:
                self._array = open_array(folder, self.spec.name, mode="r+")
            start, stop = self.spec.span(shard)
            self._array[start:stop] = array
            ledger.record(folder, self.spec, shard, largest)

    def write_all(self, values: Any) -> None:
        """Write every pending shard of this part from the whole array."""
        array = np.asarray(values)
        if array.shape != self.spec.shape:
            raise InvalidInput(
                f"values of shape {array.shape} do not fit shape {self.spec.shape}",
                where=self.spec.name,
            )
        for shard, rows in self.pending():
            self.write(shard, array[rows[0] : rows[-1] + 1])


def _clear_shard(bundle: Path, spec: ArraySpec, shard: int) -> None:
    """Remove what a killed writer left of a shard, which only its owner may do."""
    chunks = bundle / spec.name / "c"
    for leftover in [chunks / str(shard), *chunks.glob(f"{shard}.*.partial")]:
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink(missing_ok=True)
