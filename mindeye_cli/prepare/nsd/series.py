"""One session's betas in whichever format they are: NIfTI, HDF5, MATLAB, or MGH of surfaces.

Shapes: `X Y Z` volume, `K` volumes (trials), `V` voxels of the mask.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import h5py
from numpy.typing import NDArray

from mindeye_cli.prepare.nsd.betas import BetaSeries, open_betas
from mindeye_cli.prepare.nsd.hdf5_betas import open_hdf5_betas
from mindeye_cli.prepare.nsd.layout import NsdLayout, need_file
from mindeye_cli.prepare.nsd.mat5 import open_mat5
from mindeye_cli.prepare.nsd.mgh import OFFSET, read_head
from mindeye_cli.prepare.nsd.surfaces import SurfaceSeries, vertex_counts
from mindeye_cli.prepare.nsd.volumes import Mask
from mindeye_store.errors import InvalidInput

WHAT = "the session's betas"


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


def open_session(layout: NsdLayout, session: int, shape: tuple[int, ...], trials: int) -> Series:
    """Describe one session's betas, of a surface from a file for each hemisphere.

    Parameters
    ----------
    layout : NsdLayout
    session : int
        From 1.
    shape : tuple of int
        Of the mask.
    trials : int
        Of the session, by the design.

    Raises
    ------
    MissingResource, InvalidInput
        As `open_series`; also another number of vertices than the labels have.
    """
    files = layout.betas_files(session)
    if not layout.surface:
        return open_series(files[0], shape, trials)
    counts = vertex_counts(layout)
    halves = (_open_half(*half, trials) for half in zip(files, counts, strict=True))
    return SurfaceSeries(*halves)


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
        need_file(path, WHAT)
        if h5py.is_hdf5(path):
            return open_hdf5_betas(path, shape, trials, matlab=True)
        return open_mat5(path)
    return open_betas(path)


def _open_half(path: Path, count: int, trials: int) -> Series:
    """One hemisphere's betas, of so many vertices."""
    if path.suffix in (".hdf5", ".h5"):
        return open_hdf5_betas(path, (count,), trials, matlab=False)
    head = read_head(path, WHAT)
    if head.shape != (count, 1, 1, trials):
        raise InvalidInput(
            f"betas of {head.shape}, but {trials} trials of {count} vertices are"
            f" {(count, 1, 1, trials)}",
            where=str(path),
            fix="take betas, labels and design from the same subject and surface",
        )
    if head.dtype.kind != "f":
        raise InvalidInput(
            f"betas are {head.dtype}, but NSD's on a surface are float32, in percent and not times"
            " 300",
            where=str(path),
        )
    return BetaSeries(
        path=path, shape=head.shape[:3], n_volumes=trials, dtype=head.dtype, offset=OFFSET
    )
