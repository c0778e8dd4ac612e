"""A session's betas as an HDF5 dataset, read in boxes of whole chunks.

MATLAB wrote (X, Y, Z, K) column-major, which HDF5 shows as (K, Z, Y, X); Python may have written
(X, Y, Z, K) as such. NSD's files have chunks of one voxel and all trials, others whole volumes:
the array is halved at the borders of chunks until a box is small, and boxes without a voxel of the
mask are not read. Of a surface there is one axis of vertices instead of three.

Shapes: `X Y Z` volume (or vertices), `K` volumes (trials), `V` voxels of the mask.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.prepare.hdf5 import Dataset, open_dataset
from mindeye_cli.prepare.nsd.layout import need_file
from mindeye_cli.prepare.nsd.volumes import Mask
from mindeye_store.errors import InvalidInput

NAME = "betas"
# Most bytes of a box, and the size below which a box is not cut although it is nearly empty.
MOST_BYTES, LEAST_BYTES = 1 << 25, 1 << 20
Bounds = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hdf5Series:
    """One session's betas in HDF5.

    Attributes
    ----------
    data : Dataset
    shape : tuple of int
        (X, Y, Z), or one axis of vertices.
    n_volumes : int
        `K`.
    reverse : bool
        The axes come as (K, Z, Y, X), else as (X, Y, Z, K).
    """

    data: Dataset
    shape: tuple[int, ...]
    n_volumes: int
    reverse: bool

    @property
    def path(self) -> Path:
        """The file."""
        return self.data.path

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read."""
        return (self.data.path,)

    def read(
        self, mask: Mask, advance: Callable[[int], object] = lambda count: None
    ) -> NDArray[Any]:
        """Read the voxels of a mask from every volume.

        Parameters
        ----------
        mask : Mask
        advance : callable
            Told how many volumes were read, as far as parts of them make up whole ones.

        Returns
        -------
        array (K, V) of the stored dtype in native byte order.

        Raises
        ------
        InvalidInput
            The file is damaged.
        """
        places = mask.ijk.astype(np.int64)[:, : len(self.shape)]
        places = places[:, ::-1] if self.reverse else places
        values = np.empty((self.n_volumes, len(places)), self.data.dtype.newbyteorder("="))
        read = told = 0
        for bounds, mine in self._boxes(places):
            block = self.data.block(*(edge for pair in bounds for edge in pair))
            block = block if self.reverse else np.moveaxis(block, -1, 0)
            pairs = bounds[1:] if self.reverse else bounds[:-1]
            first, last = bounds[0] if self.reverse else bounds[-1]
            index = tuple((places[mine] - [low for low, _ in pairs]).T)
            values[first:last, mine] = block[(slice(None), *index)]
            read += (last - first) * len(mine)
            advance(read // len(places) - told)
            told = read // len(places)
        return values

    def _boxes(self, places: NDArray[np.int64]) -> Iterator[tuple[Bounds, NDArray[np.int64]]]:
        """Bounds of every box on the dataset's axes, and the voxels that lie in it."""
        unit = self._unit()
        axes = range(1, len(unit)) if self.reverse else range(len(unit) - 1)
        trials = 0 if self.reverse else len(unit) - 1
        column = {axis: place for place, axis in enumerate(axes)}
        waiting = [((0, self.n_volumes), np.arange(len(places)))]
        while waiting:
            period, mine = waiting.pop()
            bounds = [period] * len(unit)
            for axis in axes:
                inside, size = places[mine, column[axis]], self.data.shape[axis]
                low = int(inside.min()) // unit[axis] * unit[axis]
                bounds[axis] = (
                    low,
                    min(-(-(int(inside.max()) + 1) // unit[axis]) * unit[axis], size),
                )
            cut = self._to_cut(tuple(bounds), unit, trials, len(mine))
            if cut is None:
                yield tuple(bounds), mine
                continue
            low, high = bounds[cut]
            half = low + max(1, (high - low) // unit[cut] // 2) * unit[cut]
            if cut == trials:
                waiting += [((half, high), mine), ((low, half), mine)]
                continue
            before = places[mine, column[cut]] < half
            waiting += [(period, mine[~before]), (period, mine[before])]

    def _to_cut(self, bounds: Bounds, unit: tuple[int, ...], trials: int, count: int) -> int | None:
        """The axis to halve, the slowest that can be; None where the box is read as it is."""
        extents = [high - low for low, high in bounds]
        size = math.prod(extents) * self.data.dtype.itemsize
        filled = count / (math.prod(extents) // extents[trials])
        parts = [-(-extent // least) for extent, least in zip(extents, unit, strict=True)]
        spatial = [axis for axis in range(len(unit)) if axis != trials and parts[axis] > 1]
        if size > MOST_BYTES:
            return next((axis for axis in range(len(unit)) if parts[axis] > 1), None)
        if self.data.chunks and size > LEAST_BYTES and filled < 0.5 and spatial:
            return max(spatial, key=lambda axis: parts[axis])
        return None

    def _unit(self) -> tuple[int, ...]:
        """What can be read by itself: a chunk; of a plain array, a run of the fastest axes."""
        if self.data.chunks:
            return self.data.chunks
        unit, size = list(self.data.shape), self.data.dtype.itemsize * math.prod(self.data.shape)
        for axis, extent in enumerate(self.data.shape):
            if size <= LEAST_BYTES:
                break
            unit[axis], size = 1, size // extent
        return tuple(unit)


def open_hdf5_betas(path: Path, shape: tuple[int, ...], trials: int, matlab: bool) -> Hdf5Series:
    """Describe one session's betas.

    Parameters
    ----------
    path : Path
    shape : tuple of int
        Of the mask.
    trials : int
        Of the session, by the design.
    matlab : bool
        The file is MATLAB's: its axes come in reversed order for certain.

    Raises
    ------
    MissingResource
        No such file.
    InvalidInput
        Not HDF5, not int16 or float, or axes in neither order or in both.
    """
    need_file(path, "the session's betas")
    data = open_dataset(path, (NAME,), "the session's betas")
    if data.dtype.kind not in "if" or (data.dtype.kind == "i" and data.dtype.itemsize > 4):
        raise InvalidInput(f"betas are {data.dtype}, not int16 or float32", where=data.where)
    reverse, plain = (trials, *shape[::-1]), (*shape, trials)
    matlab = matlab or data.matlab
    if data.shape == reverse == plain and not matlab:
        raise InvalidInput(
            f"axes {data.shape} may be (trials, z, y, x) or (x, y, z, trials)",
            where=data.where,
            fix="give the session as .nii.gz",
        )
    if data.shape != reverse and (matlab or data.shape != plain):
        also = "" if matlab else f", and {plain} as Python does"
        raise InvalidInput(
            f"betas have axes {data.shape}, but {trials} trials of {shape} have {reverse} as MATLAB"
            f" writes them{also}",
            where=data.where,
            fix="take betas, mask and design from the same subject and functional space",
        )
    return Hdf5Series(data=data, shape=shape, n_volumes=trials, reverse=data.shape == reverse)
