"""Small NIfTI volumes: the mask, ROI volumes, maps; and which voxels a mask takes.

Shapes: `X Y Z` volume, `V` voxels of the mask.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from mindeye_cli.prepare.nsd.layout import need_file
from mindeye_cli.prepare.voxels import Places
from mindeye_store.errors import InvalidInput

# A head at half a millimetre has 100 million.
MAX_VOXELS = 1 << 27
FORMAT_ERRORS = (
    ImageFileError,
    HeaderDataError,
    EOFError,
    OSError,
    zlib.error,
    ValueError,
    MemoryError,
)
DOWNLOAD_AGAIN = "download it again; its size and checksum are in NSD's listing"


@dataclass(frozen=True, slots=True)
class Volume:
    """A small volume: values (X, Y, Z) and affine (4, 4)."""

    values: NDArray[Any]
    affine: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mask:
    """The voxels that are read, in C order of `volume > 0`.

    Attributes
    ----------
    shape : tuple of int
        (X, Y, Z).
    ijk : int16 array (V, 3), int32 where an axis is longer than that
    affine : float64 array (4, 4)
    """

    shape: tuple[int, ...]
    ijk: Places
    affine: NDArray[np.float64]

    def take(self, volume: NDArray[Any]) -> NDArray[Any]:
        """Values of a volume at the voxels, (V,)."""
        return volume[tuple(self.ijk.T.astype(np.intp))]

    @property
    def stored_positions(self) -> NDArray[np.int64]:
        """Place of every voxel in a volume as NIfTI stores it, int64 (V,)."""
        index = tuple(self.ijk.T.astype(np.int64))
        return np.ravel_multi_index(index, self.shape, order="F").astype(np.int64)


def read_volume(path: Path, what: str, fits: tuple[int, ...] | None = None) -> Volume:
    """Read a whole 3-D volume.

    Parameters
    ----------
    path : Path
    what : str
        What the volume is, for messages.
    fits : tuple of int, optional
        The shape it must have.

    Raises
    ------
    MissingResource
        No such file.
    InvalidInput
        Not a readable volume of that shape.
    """
    need_file(path, what)
    with readable(path, what):
        image: Any = nibabel.load(path)
        shape, dtype = tuple(image.shape), np.dtype(image.header.get_data_dtype())
    if len(shape) != 3:
        raise InvalidInput(f"{what} has shape {shape}, not 3 axes", where=str(path))
    if fits is not None and shape != fits:
        raise InvalidInput(
            f"{what} has shape {shape} but the mask has {fits}",
            where=str(path),
            fix="take both from the same subject and functional space",
        )
    if dtype.kind not in "iuf" or math.prod(shape) > MAX_VOXELS:
        raise InvalidInput(f"{what} is {dtype} {shape}, no volume of numbers", where=str(path))
    with readable(path, what):
        values = np.asanyarray(image.dataobj)
    return Volume(values, np.asarray(image.affine, dtype=np.float64))


def read_mask(path: Path, roi: str) -> Mask:
    """Read the ROI volume that says which voxels to take.

    Raises
    ------
    MissingResource
        No such file.
    InvalidInput
        Not a volume, or no voxel above 0.
    """
    return mask_of(read_volume(path, f"the ROI volume {roi}"), roi, str(path))


def mask_of(volume: Volume, roi: str, where: str) -> Mask:
    """The voxels above 0 of a volume.

    Raises
    ------
    InvalidInput
        There is none.
    """
    ijk = np.argwhere(volume.values > 0)
    if not len(ijk):
        raise InvalidInput(f"no voxel of {roi} is above 0", where=where)
    return Mask(volume.values.shape, indices(ijk, volume.values.shape), volume.affine)


def indices(ijk: NDArray[np.intp], shape: tuple[int, ...]) -> Places:
    """Voxel indices as they are kept: int16, or int32 where an axis is longer, as a surface's."""
    return ijk.astype(np.int16 if max(shape) <= np.iinfo(np.int16).max else np.int32)


@contextmanager
def readable(path: Path, what: str) -> Iterator[None]:
    """Turn the many ways in which a file is no NIfTI volume into one line."""
    try:
        yield
    except FORMAT_ERRORS as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidInput(
            f"{what} cannot be read as NIfTI: {reason}", where=str(path), fix=DOWNLOAD_AGAIN
        ) from error
