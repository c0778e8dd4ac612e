"""NIfTI volumes whose bytes depend on their content alone."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt

from mindeye_cli.simulate.anatomy import VOXEL_MM, affine

_REPETITION_TIME = 4.0  # seconds from one trial to the next, as in NSD


def write_volume(path: Path, values: npt.NDArray[np.generic]) -> None:
    """Write a 3-D or 4-D volume as `.nii.gz`, in its own dtype and without scaling.

    Parameters
    ----------
    path : Path
        The parent folder is made when absent.
    values : ndarray, shape (X, Y, Z) or (X, Y, Z, T)
    """
    image = nibabel.Nifti1Image(values, affine(values.shape))
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_zooms((VOXEL_MM,) * 3 + (_REPETITION_TIME,) * (values.ndim - 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    # Level 1 halves the time of the default for noise that hardly compresses; the time stamp that
    # gzip would add is left out.
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=1, mtime=0))


def unmask(mask: npt.NDArray[np.bool_], values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Put voxel values into the volume, trials last: (V,) or (T, V) -> (X, Y, Z[, T])."""
    volume = np.zeros((*mask.shape, *values.shape[:-1]), values.dtype, order="F")
    volume[mask] = values.T
    return volume
