"""Volumes of single-trial responses, cut to a mask into one matrix.

Results of a GLM have the trials on their last axis, where one trial touches every page of the
file; they are read once, in order, and the voxels of the mask are kept in a file without a name
beside the store, which vanishes with the process.

Shapes: `X Y Z` volume, `N` trials, `V` voxels of the mask.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import nibabel
import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.progress import track
from mindeye_cli.prepare.hdf5 import MAX_PART, Dataset
from mindeye_cli.prepare.nsd.betas import BetaSeries
from mindeye_cli.prepare.nsd.volumes import Mask, readable
from mindeye_cli.prepare.voxels import Floats, Rows
from mindeye_store.errors import InvalidInput, MissingResource


@dataclass(frozen=True, slots=True)
class Matrix:
    """Responses (N, V) in memory or mapped, read by trial."""

    values: NDArray[Any]

    @property
    def shape(self) -> tuple[int, int]:
        """`N` and `V`."""
        return self.values.shape[0], self.values.shape[1]

    def read(self, rows: Rows) -> Floats:
        """Responses of trials, float32 (len(rows), V)."""
        return np.array(self.values[rows], dtype=np.float32)


class Volumes(Protocol):
    """A file of single-trial volumes."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(X, Y, Z)."""

    @property
    def n_trials(self) -> int:
        """`N`."""

    @property
    def where(self) -> str:
        """Its place, for messages."""

    def cut(self, mask: Mask, out: NDArray[np.float32]) -> None:
        """Fill `out` (N, V) with the voxels of a mask."""


@dataclass(frozen=True, slots=True)
class NiftiVolumes:
    """A 4-D NIfTI file; `slope` and `intercept` as its header gives them."""

    series: BetaSeries
    slope: float
    intercept: float

    @property
    def shape(self) -> tuple[int, ...]:
        """(X, Y, Z)."""
        return self.series.shape

    @property
    def n_trials(self) -> int:
        """`N`."""
        return self.series.n_volumes

    @property
    def where(self) -> str:
        """Its place, for messages."""
        return str(self.series.path)

    def cut(self, mask: Mask, out: NDArray[np.float32]) -> None:
        """Fill `out` (N, V) with the voxels of a mask."""
        with np.errstate(over="ignore", invalid="ignore"):
            out[:] = self.series.read(mask) * self.slope + self.intercept


@dataclass(frozen=True, slots=True)
class Hdf5Volumes:
    """A dataset with trials last, (X, Y, Z, N), or first and reversed, (N, Z, Y, X).

    Values are multiplied by `scale`.
    """

    data: Dataset
    scale: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        """(X, Y, Z)."""
        return self.data.shape[:0:-1] if self.data.matlab else self.data.shape[:-1]

    @property
    def n_trials(self) -> int:
        """`N`."""
        return self.data.shape[0] if self.data.matlab else self.data.shape[-1]

    @property
    def where(self) -> str:
        """Its place, for messages."""
        return self.data.where

    def cut(self, mask: Mask, out: NDArray[np.float32]) -> None:
        """Fill `out` (N, V) with the voxels of a mask."""
        i, j, k = mask.ijk.T.astype(np.intp)
        if self.data.matlab:
            for trial in range(self.n_trials):
                out[trial] = self.data.block(trial, trial + 1)[0][k, j, i] * self.scale
            return
        _, y, z, n = self.data.shape
        lines = max(1, MAX_PART // (z * n * self.data.dtype.itemsize))
        for x in np.unique(i).tolist():
            for start in range(0, y, lines):
                mine = np.flatnonzero((i == x) & (j >= start) & (j < start + lines))
                if len(mine):
                    part = self.data.block(x, x + 1, start, min(start + lines, y))[0]
                    out[:, mine] = part[j[mine] - start, k[mine]].T * self.scale


def open_nifti(path: Path, what: str) -> NiftiVolumes:
    """Read the header of a 4-D NIfTI file of numbers.

    Raises
    ------
    MissingResource
        No such file.
    InvalidInput
        Not such a file.
    """
    if not path.is_file():
        raise MissingResource(f"{what} is missing", where=str(path))
    with readable(path, what):
        image: Any = nibabel.load(path)
        stored = image.dataobj
        dtype = np.dtype(image.header.get_data_dtype())
        slope, intercept = float(stored.slope), float(stored.inter)
    if len(stored.shape) != 4 or 0 in stored.shape:
        raise InvalidInput(f"{what} has shape {stored.shape}, not 4 axes", where=str(path))
    if dtype.kind not in "iuf" or not np.isfinite([slope, intercept]).all():
        raise InvalidInput(f"{what} holds {dtype}, not numbers", where=str(path))
    size = int(np.prod(stored.shape[:3], dtype=object)) * dtype.itemsize
    if size > MAX_PART:
        raise InvalidInput(f"volumes of {size} bytes are too large", where=str(path))
    series = BetaSeries(
        path=path,
        shape=tuple(int(n) for n in stored.shape[:3]),
        n_volumes=int(stored.shape[3]),
        dtype=dtype,
        offset=int(stored.offset),
    )
    return NiftiVolumes(series, slope, intercept)


def cut_volumes(files: list[Any], mask: Mask, beside: Path) -> Matrix:
    """Cut files of volumes, one after another, to a mask.

    Parameters
    ----------
    files : list of Volumes
    mask : Mask
    beside : Path
        The store, whose disk takes the matrix.

    Raises
    ------
    InvalidInput
        A file's volumes do not have the mask's shape, or a file is damaged.
    """
    for file in files:
        if tuple(file.shape) != tuple(mask.shape):
            raise InvalidInput(
                f"volumes of {tuple(file.shape)} but the mask has {tuple(mask.shape)}",
                where=file.where,
                fix="take both from the same space",
            )
    total = sum(file.n_trials for file in files)
    matrix = scratch((total, len(mask.ijk)), beside)
    first = 0
    with track("read responses", total, unit="trials") as bar:
        for file in files:
            file.cut(mask, matrix[first : first + file.n_trials])
            first += file.n_trials
            bar.advance(file.n_trials)
    return Matrix(matrix)


def scratch(shape: tuple[int, int], beside: Path) -> NDArray[np.float32]:
    """A float32 matrix in a file without a name, on the disk of `beside`."""
    folder = next((parent for parent in beside.absolute().parents if parent.is_dir()), None)
    with tempfile.TemporaryFile(dir=folder) as stream:
        return np.memmap(stream, dtype=np.float32, mode="w+", shape=shape)
