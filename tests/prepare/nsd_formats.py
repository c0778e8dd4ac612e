"""Sessions of `nsd_fixture` in the other formats, written with h5py, scipy and nibabel alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from prepare.nsd_fixture import TinyNsd

Write = Callable[[Path, np.ndarray], None]


def matlab_hdf5(path: Path, betas: np.ndarray, **how: Any) -> None:
    """As MATLAB's h5write leaves (X, Y, Z, K): column-major, so that HDF5 shows (K, Z, Y, X)."""
    with h5py.File(path, "w") as file:
        file.create_dataset("betas", data=betas.T, **how)


def nsd_hdf5(path: Path, betas: np.ndarray) -> None:
    """NSD's own chunks: one voxel, all trials."""
    matlab_hdf5(path, betas, chunks=(betas.shape[-1], *[1] * (betas.ndim - 1)))


def volume_hdf5(path: Path, betas: np.ndarray) -> None:
    """Packed chunks of some volumes that do not divide the array evenly."""
    shape = betas.T.shape
    chunks = (min(7, shape[0]), *(max(1, n // 2 + 1) for n in shape[1:]))
    matlab_hdf5(path, betas, chunks=chunks, compression="gzip", shuffle=True)


def python_hdf5(path: Path, betas: np.ndarray) -> None:
    """(X, Y, Z, K) as it stands."""
    with h5py.File(path, "w") as file:
        file["betas"] = betas


def big_endian_hdf5(path: Path, betas: np.ndarray) -> None:
    matlab_hdf5(path, betas.astype(betas.dtype.newbyteorder(">")))


def mat73(path: Path, betas: np.ndarray) -> None:
    """MATLAB 7.3: HDF5 behind a block of 512 bytes, with the class of each array."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file["betas"] = betas.T
        file["betas"].attrs["MATLAB_class"] = np.bytes_(str(betas.dtype))
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


def mat5(path: Path, betas: np.ndarray) -> None:
    scipy.io.savemat(path, {"notes": np.arange(5), "betas": betas})


def packed_mat5(path: Path, betas: np.ndarray) -> None:
    content = {"notes": np.arange(5), "betas": betas, "after": np.eye(3)}
    scipy.io.savemat(path, content, do_compression=True)


FORMATS: dict[str, tuple[str, Write]] = {
    "hdf5 of MATLAB": ("hdf5", matlab_hdf5),
    "hdf5 of NSD": ("hdf5", nsd_hdf5),
    "hdf5 in packed volumes": ("h5", volume_hdf5),
    "hdf5 of Python": ("hdf5", python_hdf5),
    "hdf5, big-endian": ("hdf5", big_endian_hdf5),
    "mat 7.3": ("mat", mat73),
    "mat 5": ("mat", mat5),
    "mat 5, packed": ("mat", packed_mat5),
}


def rewrite(
    data: TinyNsd, form: str, change: Callable[[np.ndarray], np.ndarray] | None = None
) -> None:
    """Replace every session's .nii.gz by another format."""
    ending, write = FORMATS[form]
    for session, betas in enumerate(data.betas, start=1):
        path = data.beta_file(session)
        path.unlink()
        values = betas if change is None else change(betas)
        write(path.with_name(f"betas_session{session:02d}.{ending}"), values)
