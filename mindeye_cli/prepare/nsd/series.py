"""One session's betas in whichever format they are: NIfTI, HDF5, MATLAB.

Shapes: `X Y Z` volume, `K` volumes (trials), `V` voxels of the mask.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import h5py
from numpy.typing import NDArray

from mindeye_cli.prepare.nsd.betas import open_betas
from mindeye_cli.prepare.nsd.hdf5_betas import open_hdf5_betas
from mindeye_cli.prepare.nsd.layout import need_file
from mindeye_cli.prepare.nsd.mat5 import open_mat5
from mindeye_cli.prepare.nsd.volumes import Mask


class Series(Protocol):
    """One session's betas: what is known before they are read, and a way to read them."""

    @property
    def path(self) -> Path:
        """The file, for messages."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(X, Y, Z)."""

    @property
    def n_volumes(self) -> int:
        """`K`."""

    def read(self, mask: Mask, advance: Callable[[int], object] = ...) -> NDArray[Any]:
        """Voxels of the mask from every volume (K, V): integers at 300 times, or floats as is."""


def open_series(path: Path, shape: tuple[int, ...], trials: int) -> Series:
    """Describe one session's betas.

    Parameters
    ----------
    path : Path
        `.nii`, `.nii.gz`, `.hdf5`, `.h5` or `.mat`.
    shape : tuple of int
        Of the mask: tells the order of HDF5's axes.
    trials : int
        Of the session, by the design: the same.

    Raises
    ------
    MissingResource
        No such file.
    InvalidInput
        It cannot be read as what its name says, or the order of its axes cannot be told.
    """
    if path.suffix in (".hdf5", ".h5"):
        return open_hdf5_betas(path, shape, trials, matlab=False)
    if path.suffix == ".mat":
        need_file(path, "the session's betas")
        if h5py.is_hdf5(path):
            return open_hdf5_betas(path, shape, trials, matlab=True)
        return open_mat5(path)
    return open_betas(path)
