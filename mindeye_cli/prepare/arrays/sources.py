"""Where a folder keeps its responses: `voxels.npy`, GLMsingle's result, or volumes.

Looked for in this order, exactly one must be there: `voxels.npy` (N, V);
`TYPED_FITHRF_GLMDENOISE_RR` or `betas` as `.hdf5`, `.h5` or MATLAB 7.3 `.mat`; `betas.nii[.gz]`.
Volumes need `mask.nii[.gz]`, or the voxels of a subject that is in a store.

Shapes: `N` trials, `V` voxels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mindeye_cli.prepare.arrays.responses import read_responses
from mindeye_cli.prepare.cut import Hdf5Volumes, Matrix, NiftiVolumes, cut_volumes, open_nifti
from mindeye_cli.prepare.cut import scratch as scratch_matrix
from mindeye_cli.prepare.hdf5 import Dataset, open_dataset
from mindeye_cli.prepare.nsd.betas import INTEGER_SCALE
from mindeye_cli.prepare.nsd.volumes import Mask, read_mask
from mindeye_cli.prepare.voxels import RawTrials, VoxelTable
from mindeye_store.errors import InvalidInput, MissingResource

GLMSINGLE = "TYPED_FITHRF_GLMDENOISE_RR"
# GLMsingle's names for single-trial betas in Python and in MATLAB, and NSD's own.
DATASETS = ("betasmd", "modelmd", "betas")
_HDF5 = tuple(f"{stem}{end}" for stem in (GLMSINGLE, "betas") for end in (".hdf5", ".h5", ".mat"))
_NIFTI = ("betas.nii.gz", "betas.nii")
MASKS = ("mask.nii.gz", "mask.nii")


@dataclass(frozen=True, slots=True)
class Found:
    """Responses, and the mask that they were cut to (None for a matrix)."""

    raw: RawTrials
    mask: Mask | None


def responses_file(folder: Path) -> Path:
    """The one file of responses in a folder.

    Raises
    ------
    MissingResource
        There is none.
    InvalidInput
        There are several, or one that is never read: a pickled dictionary.
    """
    names = ("voxels.npy", *_HDF5, *_NIFTI)
    there = [folder / name for name in names if (folder / name).exists()]
    if len(there) > 1:
        raise InvalidInput(
            f"both {there[0].name} and {there[1].name} hold responses; keep one", where=str(folder)
        )
    pickled = folder / f"{GLMSINGLE}.npy"
    if not there and pickled.exists():
        raise InvalidInput(
            "GLMsingle's .npy is a pickled dictionary, which can run code and is never loaded",
            where=str(pickled),
            fix="run GLMsingle with hdf5 output, or write voxels.npy from it as docs/data.md says",
        )
    if not there:
        raise MissingResource(
            "the file of responses is missing",
            where=str(folder / "voxels.npy"),
            fix="docs/data.md lists the files that are read",
        )
    return there[0]


def find_responses(path: Path, n_trials: int, like: Mask | None, store: Path) -> Found:
    """Open the responses, cutting volumes to a mask.

    Parameters
    ----------
    path : Path
        As `responses_file` gives it.
    n_trials : int
        Rows of `trials.csv`: tells the axis of trials.
    like : Mask, optional
        Voxels to take instead of the folder's own mask.
    store : Path
        Whose disk takes what is cut.

    Raises
    ------
    MissingResource
        Volumes without a mask.
    InvalidInput
        Not responses of so many trials.
    """
    if path.name == "voxels.npy":
        raw = read_responses(path)
        _check_trials(raw.shape[0], n_trials, str(path), swapped=raw.shape[1] == n_trials)
        return Found(raw, None)
    volumes = _open(path, n_trials)
    _check_trials(volumes.n_trials, n_trials, volumes.where, swapped=n_trials in volumes.shape)
    if isinstance(volumes, Hdf5Volumes) and max(volumes.shape[1:], default=1) == 1:
        return Found(_matrix(volumes.data, n_trials, store), None)
    if len(volumes.shape) != 3:
        raise InvalidInput(
            f"shape {volumes.data.shape} is neither (X, Y, Z, trials) nor (voxels, trials)"
            if isinstance(volumes, Hdf5Volumes)
            else "not 4 axes",
            where=volumes.where,
        )
    mask = replace(like, shape=tuple(volumes.shape)) if like else _own_mask(path.parent)
    if (mask.ijk < 0).any() or (mask.ijk >= np.array(volumes.shape)).any():
        raise InvalidInput(
            f"a voxel lies outside of volumes of {tuple(volumes.shape)}", where=volumes.where
        )
    return Found(cut_volumes([volumes], mask, store), mask)


def with_mask(table: VoxelTable, mask: Mask | None, where: str) -> VoxelTable:
    """The voxel table with the places that the mask tells.

    Raises
    ------
    InvalidInput
        `voxels.csv` gives other places.
    """
    if mask is None:
        return table
    if table.ijk is not None and not np.array_equal(table.ijk, mask.ijk):
        row = int(np.argmax((table.ijk != mask.ijk).any(axis=1)))
        raise InvalidInput(
            f"voxel {row} is at {table.ijk[row].tolist()}, in the mask at {mask.ijk[row].tolist()}",
            where=where,
            fix="list the voxels in C order of mask > 0",
        )
    return replace(
        table, ijk=mask.ijk, affine=mask.affine.tolist(), volume_shape=[int(n) for n in mask.shape]
    )


def _open(path: Path, n_trials: int) -> Hdf5Volumes | NiftiVolumes:
    if path.name in _NIFTI:
        return open_nifti(path, "the file of responses")
    data = open_dataset(path, DATASETS, "the file of responses")
    # NSD's further experiments come as `betas`, int16 at 300 times percent signal change, written
    # by MATLAB without its marks: trials are then the first axis.
    own = path.stem == "betas"
    if data.dtype.kind != "f" and not (own and data.dtype == np.int16):
        raise InvalidInput(f"responses are {data.dtype}, not float", where=data.where)
    first = own and data.shape[0] == n_trials != data.shape[-1]
    turned = data.matlab or path.suffix == ".mat" or first
    scale = 1 / float(INTEGER_SCALE) if data.dtype == np.int16 else 1.0
    return Hdf5Volumes(replace(data, matlab=turned), scale)


def _check_trials(found: int, wanted: int, where: str, *, swapped: bool) -> None:
    if found != wanted:
        raise InvalidInput(
            f"trials.csv lists {wanted} trials but the responses are of {found}"
            + ("; are the axes swapped?" if swapped else ""),
            where=where,
        )


def _own_mask(folder: Path) -> Mask:
    path = next((folder / name for name in MASKS if (folder / name).exists()), None)
    if path is None:
        raise MissingResource(
            "responses in volumes need a mask of the voxels to take",
            where=str(folder / MASKS[0]),
            fix="add it, or name a store that has the subject with --voxels-of",
        )
    return read_mask(path, "mask")


def _matrix(data: Dataset, n_trials: int, store: Path) -> Matrix:
    """`(V, N)`, `(V, 1, 1, N)`, or reversed as MATLAB's, as (N, V)."""
    if data.matlab:
        return Matrix(data.block(0, n_trials).reshape(n_trials, -1))
    values = scratch_matrix((n_trials, data.shape[0]), store)
    step = max(1, (1 << 26) // (n_trials * data.dtype.itemsize))
    for start in range(0, data.shape[0], step):
        stop = min(start + step, data.shape[0])
        values[:, start:stop] = data.block(start, stop).reshape(stop - start, n_trials).T
    return Matrix(values)
