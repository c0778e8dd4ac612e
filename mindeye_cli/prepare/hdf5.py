"""Arrays in HDF5 files that nobody vouches for, read by parts.

A dataset may be a link to another file, lie in external files, or claim a shape and chunks of any
size; such ones are refused before a value is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from mindeye_cli.prepare.npy import check_dtype, reason
from mindeye_store.errors import InvalidInput, MissingResource

# HDF5 decodes one chunk at a time, whole.
MAX_CHUNK = 1 << 28
# Most bytes of what has to be held at once: a row, or of a large volume a line of voxels.
MAX_PART = 1 << 28
# HDF5's compressors reach a thousandth at best; values that were never written take no space.
MAX_RATIO = 2000
_ERRORS = (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError, OverflowError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """An array of an HDF5 file.

    Attributes
    ----------
    path : Path
    name : str
    shape : tuple of int
    dtype : dtype
    matlab : bool
        Written by MATLAB: its axes come in reversed order.
    chunks : tuple of int, optional
        None where the array lies in one piece.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    matlab: bool
    chunks: tuple[int, ...] | None = None

    @property
    def where(self) -> str:
        """Its place, for messages."""
        return f"{self.path}, dataset {self.name}"

    def read(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Rows in the order given, (len(rows), ...), in native byte order.

        Raises
        ------
        InvalidInput
            The file is damaged there.
        """
        wanted, place = np.unique(rows, return_inverse=True)
        parts = [self.block(run[0], run[-1] + 1) for run in _runs(wanted)]
        found = np.concatenate(parts) if parts else np.empty((0, *self.shape[1:]), self.dtype)
        return found[place]

    def block(self, *bounds: int) -> NDArray[Any]:
        """The part from `bounds[0]` to `bounds[1]` of the first axis, and so on; see `read`."""
        part = tuple(slice(*pair) for pair in zip(bounds[::2], bounds[1::2], strict=True))
        try:
            # Slices, not lists of rows: h5py's fancy indexing is many times slower (issue 2536).
            with h5py.File(self.path, "r") as file:
                values: NDArray[Any] = file[self.name][part]
        except _ERRORS as error:
            raise InvalidInput(
                f"rows {bounds[0]} to {bounds[1] - 1} cannot be read: {reason(error)}",
                where=self.where,
                fix="fetch the file again",
            ) from error
        return values.astype(values.dtype.newbyteorder("="), copy=False)


def open_dataset(path: Path, names: Sequence[str], what: str) -> Dataset:
    """Describe the one dataset that goes by one of several names.

    Parameters
    ----------
    path : Path
    names : sequence of str
        The first that is there is taken.
    what : str
        What the file holds, for messages.

    Raises
    ------
    MissingResource
        No such file.
    InvalidInput
        Not HDF5, no such dataset, or one that is no plain array of numbers.
    """
    if not path.exists():
        raise MissingResource(f"{what} is missing", where=str(path))
    with _hdf5(path) as file:
        name = next((name for name in names if name in file), None)
        if name is None:
            listed = ", ".join(sorted(map(ascii, list(file)[:8]))) or "nothing"
            raise InvalidInput(
                f"dataset {names[0]} is missing; the file holds {listed}", where=str(path)
            )
        where = f"{path}, dataset {name}"
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise InvalidInput("a link to elsewhere is refused", where=where)
        found = file[name]
        if not isinstance(found, h5py.Dataset):
            raise InvalidInput("a group, not an array", where=where)
        if found.is_virtual or found.external:
            raise InvalidInput("an array that lies in other files is refused", where=where)
        check_dtype(found.dtype, where)
        _check_size(found, where)
        return Dataset(
            path=path,
            name=name,
            shape=tuple(int(n) for n in found.shape),
            dtype=found.dtype,
            matlab="MATLAB_class" in found.attrs,
            chunks=found.chunks,
        )


def _check_size(found: Any, where: str) -> None:
    """Whatever has to be held at once must be small enough."""
    if found.shape is None or not found.shape or 0 in found.shape:
        raise InvalidInput(f"shape {found.shape} holds nothing", where=where)
    held = found.shape[2:] if len(found.shape) > 3 else found.shape[1:]
    row = int(np.prod(held, dtype=object)) * found.dtype.itemsize
    stored, announced = int(found.id.get_storage_size()), int(found.size) * found.dtype.itemsize
    if announced > stored * (
        MAX_RATIO if found.chunks and found.id.get_create_plist().get_nfilters() else 1
    ):
        raise InvalidInput(
            f"the array announces {announced} bytes but the file holds {stored} of them",
            where=where,
        )
    chunk = int(np.prod(found.chunks or (0,), dtype=object)) * found.dtype.itemsize
    if row > MAX_PART or chunk > MAX_CHUNK:
        raise InvalidInput(
            f"rows of {row} and chunks of {chunk} bytes are too large to be read", where=where
        )


@contextmanager
def _hdf5(path: Path) -> Iterator[Any]:
    try:
        with h5py.File(path, "r") as file:
            yield file
    except _ERRORS as error:
        raise InvalidInput(
            f"cannot be read as HDF5: {reason(error)}", where=str(path), fix="fetch it again"
        ) from error


def _runs(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Cut ascending row numbers into runs of neighbours."""
    if len(rows):
        yield from np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1)
