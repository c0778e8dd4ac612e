"""NSD's pictures: `imgBrick` of `nsd_stimuli.hdf5`, read row by row for those that were seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from mindeye_cli.prepare.hdf5 import open_dataset
from mindeye_cli.prepare.nsd.layout import need_file
from mindeye_store.errors import InvalidInput

DATASET = "imgBrick"


@dataclass(frozen=True, slots=True, kw_only=True)
class NsdPictures:
    """The pictures that one subject saw.

    Attributes
    ----------
    path : Path
        The HDF5 file.
    rows : int64 array (n,)
        Row of `imgBrick` of every picture, which is NSD's id counted from 0.
    size : tuple of int
        Height and width.
    captions, records : list, optional
        One per picture.
    """

    path: Path
    rows: NDArray[np.int64]
    size: tuple[int, int]
    captions: list[str] | None = None
    records: list[dict[str, Any]] | None = None

    @property
    def ids(self) -> list[str]:
        """Names of the pictures in the store, the same for every subject."""
        return [f"nsd{row:05d}" for row in self.rows]

    def read(self, positions: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Pixels of some pictures, uint8 (k, H, W, 3).

        Raises
        ------
        InvalidInput
            The file is damaged there.
        """
        pixels = np.empty((len(positions), *self.size, 3), dtype=np.uint8)
        with h5py.File(self.path, "r") as file:
            brick = file[DATASET]
            # Row by row: h5py's fancy indexing is many times slower (h5py issue 2536).
            for place, row in enumerate(self.rows[np.asarray(positions)]):
                try:
                    pixels[place] = brick[int(row)]
                except OSError as error:
                    raise InvalidInput(
                        f"picture {row} cannot be read",
                        where=f"{self.path}, {DATASET}",
                        fix="download the file again",
                    ) from error
        return pixels


def brick_shape(path: Path) -> tuple[int, int, int]:
    """Number, height and width of the pictures in the file.

    Raises
    ------
    MissingResource
        No such file.
    InvalidInput
        Not HDF5, or `imgBrick` is not uint8 (n, H, W, 3).
    """
    need_file(path, "the file of all pictures")
    brick = open_dataset(path, (DATASET,), "the file of all pictures")
    shape = brick.shape
    if len(shape) != 4 or shape[3] != 3 or brick.dtype != np.uint8:
        raise InvalidInput(
            f"{DATASET} is {brick.dtype} {shape}, not uint8 (pictures, height, width, 3)",
            where=str(path),
        )
    return int(shape[0]), int(shape[1]), int(shape[2])
