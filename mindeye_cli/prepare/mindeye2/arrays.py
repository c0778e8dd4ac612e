"""Responses and pictures in MindEye2's HDF5 files.

Shapes: `N` trials, `V` voxels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.prepare.hdf5 import Dataset, open_dataset
from mindeye_cli.prepare.voxels import Floats, Rows
from mindeye_store.errors import InvalidInput

# float16 has steps of 0.0005 near 1, an eighth of a grey level.
_SLACK = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class BetaRows:
    """Trials as rows of `betas`."""

    betas: Dataset
    row: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int]:
        """`N` and `V`."""
        return len(self.row), self.betas.shape[1]

    def read(self, rows: Rows) -> Floats:
        """Responses of trials, float32 (len(rows), V).

        Raises
        ------
        InvalidInput
            A value is not finite.
        """
        wanted = self.row[rows]
        values = self.betas.read(wanted).astype(np.float32, copy=False)
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(bad):
            raise InvalidInput(
                "a response is not finite", where=f"{self.betas.where}, row {wanted[bad[0]]}"
            )
        return values


def open_betas(path: Path, highest_row: int) -> Dataset:
    """Describe the responses.

    Raises
    ------
    MissingResource
        No such file.
    InvalidInput
        Not a float matrix with a row for every trial.
    """
    betas = open_dataset(path, ("betas",), "the file of responses")
    if len(betas.shape) != 2 or betas.dtype.kind != "f":
        raise InvalidInput(
            f"{betas.dtype} {betas.shape} is not float (trials, voxels)", where=betas.where
        )
    if betas.shape[0] <= highest_row:
        swapped = betas.shape[1] > highest_row
        raise InvalidInput(
            f"{betas.shape[0]} rows, but a trial is row {highest_row}"
            + ("; are its axes swapped?" if swapped else ""),
            where=betas.where,
        )
    return betas


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatPictures:
    """Pictures kept as float16 in [0, 1], (n, 3, H, W).

    Attributes
    ----------
    images : Dataset
    rows : int64 array (n,)
        NSD's number of every picture, from 0.
    captions, records : list, optional
    """

    images: Dataset
    rows: NDArray[np.int64]
    captions: list[str] | None
    records: list[dict[str, Any]] | None

    @property
    def ids(self) -> list[str]:
        """Names of the pictures, the same as `prepare nsd` gives."""
        return [f"nsd{row:05d}" for row in self.rows]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.images.shape[2], self.images.shape[3]

    def read(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Pixels, uint8 (k, H, W, 3), rounded to the nearest grey level.

        Raises
        ------
        InvalidInput
            A value is not in [0, 1].
        """
        wanted = self.rows[positions]
        values = self.images.read(wanted).astype(np.float32)
        inside = ((values >= -_SLACK) & (values <= 1 + _SLACK)).all(axis=(1, 2, 3))
        if not inside.all():
            raise InvalidInput(
                "a pixel is not in 0 to 1",
                where=f"{self.images.where}, row {wanted[np.argmin(inside)]}",
            )
        levels = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
        return np.ascontiguousarray(np.moveaxis(levels, 1, 3))


def open_images(path: Path, highest_row: int) -> Dataset:
    """Describe the pictures.

    Raises
    ------
    MissingResource
        No such file.
    InvalidInput
        Not float (n, 3, H, W), or too few.
    """
    images = open_dataset(path, ("images",), "the file of pictures")
    if len(images.shape) != 4 or images.shape[1] != 3 or images.dtype.kind != "f":
        raise InvalidInput(
            f"{images.dtype} {images.shape} is not float (pictures, 3, height, width)",
            where=images.where,
        )
    if images.shape[0] <= highest_row:
        raise InvalidInput(
            f"{images.shape[0]} pictures, but a trial shows picture {highest_row}",
            where=images.where,
        )
    return images
