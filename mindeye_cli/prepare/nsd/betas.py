"""A session's betas in a file of whole volumes, streamed one volume at a time.

Betas come as int16 at 300 times percent signal change; each volume is contiguous in the file
(volumes last, first voxel index fastest), so one pass through the gzip stream with one volume in
memory gives a session, and reading to the end checks gzip's own checksum.

Shapes: `X Y Z` volume, `K` volumes (trials), `V` voxels of the mask.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from mindeye_cli.prepare.nsd.gunzip import Gunzip, Packing
from mindeye_cli.prepare.nsd.layout import need_file
from mindeye_cli.prepare.nsd.volumes import DOWNLOAD_AGAIN, Mask, readable
from mindeye_store.errors import InvalidInput

# What NSD multiplies percent signal change by before rounding to int16.
INTEGER_SCALE = np.float32(300.0)
# Bytes asked for after the last volume, so that the stream's end and its checksum are reached.
_TRAILER = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class BetaSeries:
    """One session's betas: header facts, and a way to stream the volumes.

    Attributes
    ----------
    path : Path
    shape : tuple of int
        (X, Y, Z).
    n_volumes : int
        `K`.
    dtype : dtype
        As stored, byte order included.
    offset : int
        Byte of the inflated file at which the first volume begins.
    packing : {"none", "gzip", "zlib"}, optional
        By default as the file's name says.
    start : int
        Byte of the file at which its packed part begins.
    kept : dtype, optional
        What the values are, when they are stored in a smaller type.
    """

    path: Path
    shape: tuple[int, ...]
    n_volumes: int
    dtype: np.dtype[Any]
    offset: int
    packing: Packing | None = None
    start: int = 0
    kept: np.dtype[Any] | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read."""
        return (self.path,)

    def read(
        self, mask: Mask, advance: Callable[[int], object] = lambda count: None
    ) -> NDArray[Any]:
        """Read the voxels of a mask from every volume.

        Parameters
        ----------
        mask : Mask
        advance : callable
            Told 1 after each volume.

        Returns
        -------
        array (K, V) of the values' dtype in native byte order.

        Raises
        ------
        InvalidInput
            The file ends early or is damaged.
        """
        positions = mask.stored_positions
        size = int(np.prod(self.shape)) * self.dtype.itemsize
        dtype = (self.kept or self.dtype).newbyteorder("=")
        values = np.empty((self.n_volumes, len(positions)), dtype)
        volume = 0
        try:
            with Gunzip(self.path, self.packing, self.start) as stream:
                stream.skip(self.offset)
                for volume in range(self.n_volumes):
                    block = stream.read(size)
                    if len(block) < size:
                        raise EOFError
                    values[volume] = np.frombuffer(block, self.dtype)[positions]
                    advance(1)
                stream.read(_TRAILER)
        except (EOFError, OSError, zlib.error) as error:
            raise InvalidInput(
                f"the betas end early or are damaged at volume {volume + 1} of {self.n_volumes}",
                where=str(self.path),
                fix=DOWNLOAD_AGAIN,
            ) from error
        return values


def open_betas(path: Path) -> BetaSeries:
    """Read the header of one session's betas.

    Raises
    ------
    MissingResource
        No such file.
    InvalidInput
        Not a 4-D NIfTI of int16 or float values without a scale.
    """
    need_file(path, "the session's betas")
    with readable(path, "the session's betas"):
        image: Any = nibabel.load(path)
        stored = image.dataobj
        dtype = np.dtype(image.header.get_data_dtype())
        scale = (float(stored.slope), float(stored.inter))
    if len(stored.shape) != 4:
        raise InvalidInput(f"betas have shape {stored.shape}, not 4 axes", where=str(path))
    if dtype.kind not in "if" or dtype.itemsize > 4:
        raise InvalidInput(f"betas are {dtype}, not int16 or float32", where=str(path))
    if scale != (1.0, 0.0):
        raise InvalidInput(
            f"the header scales the betas (slope {scale[0]:g}, intercept {scale[1]:g})",
            where=str(path),
            fix="store int16 at 300 times percent signal change with slope 1, as NSD does",
        )
    return BetaSeries(
        path=path,
        shape=tuple(int(n) for n in stored.shape[:3]),
        n_volumes=int(stored.shape[3]),
        dtype=dtype,
        offset=int(stored.offset),
    )


def percent_signal(values: NDArray[Any]) -> NDArray[np.float32]:
    """Percent signal change, float32: integers are divided by 300, floats are taken as they are."""
    if values.dtype.kind == "i":
        return values.astype(np.float32) / INTEGER_SCALE
    return values.astype(np.float32)
