"""Where a subject's voxels lie, and which pictures that allows.

A volume of the subject's own space (func1pt8mm) drawn on a standard brain shows blobs in wrong
places without any error, so standard pictures are made only of data declared to be in that space.

Shapes: `V` voxels, `X Y Z` volume.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from mindeye_cli.explain.encoder import Encoder
from mindeye_store import Subject
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem

NATIVE, SURFACE = "native", "fsaverage"
SPACES = (NATIVE, "mni", SURFACE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """Places of the voxels.

    Attributes
    ----------
    space : {"native", "mni", "fsaverage"}
    ijk : int array (V, 3)
        Of a surface: vertex number, hemisphere (0 left, 1 right), 0.
    affine : float64 array (4, 4)
    shape : tuple of int
        (X, Y, Z); of a surface, vertices of a hemisphere and two hemispheres.
    """

    space: str
    ijk: NDArray[np.integer]
    affine: NDArray[np.float64]
    shape: tuple[int, ...]

    def volume(self, values: NDArray[np.floating]) -> NDArray[np.float32]:
        """Values of voxels in their volume, float32 (X, Y, Z); NaN where there is no voxel."""
        out = np.full(self.shape, np.nan, dtype=np.float32)
        out[tuple(self.ijk.T)] = values
        return out


def anatomy(encoder: Encoder, mask: Path | None, space: str | None) -> Anatomy:
    """Find the places of a subject's voxels.

    Parameters
    ----------
    encoder : Encoder
    mask : Path, optional
        NIfTI volume whose voxels above 0 are the subject's, in C order, for stores without places.
    space : {"native", "mni", "fsaverage"}, optional
        What the data is declared to be in; by default what `prepare` recorded, else native.

    Raises
    ------
    UsageProblem
        Another space.
    MissingResource
        No such mask.
    InvalidInput
        No places are known, they are no vertices, or the mask has another number of voxels.
    """
    subject = encoder.subject
    declared = space or str(subject.attrs.get("space", NATIVE))
    if declared not in SPACES:
        raise UsageProblem(
            f"{declared!r} is not a space", where="--anatomy", fix=f"one of {', '.join(SPACES)}"
        )
    if mask is not None:
        return _from_mask(mask, subject.voxels.shape[1], declared)
    if declared == SURFACE and subject.ijk is not None:
        return _vertices(subject)
    if subject.ijk is None or subject.affine is None:
        raise InvalidInput(
            "the store has no places of this subject's voxels, so no map can be drawn; areas and"
            " numbers still come",
            where=f"subject {subject.name}",
            fix="give the volume that its voxels were taken from: --mask nsdgeneral.nii.gz",
        )
    return Anatomy(
        space=declared, ijk=subject.ijk, affine=subject.affine, shape=_shape(subject, subject.ijk)
    )


def has_places(encoder: Encoder, mask: Path | None, space: str | None) -> bool:
    """Whether maps can be drawn."""
    subject = encoder.subject
    if mask is not None or subject.ijk is None:
        return mask is not None
    return subject.affine is not None or SURFACE in (space, subject.attrs.get("space"))


def _shape(subject: Subject, ijk: NDArray[np.integer]) -> tuple[int, ...]:
    recorded = subject.attrs.get("volume_shape")
    least = (int(n) + 1 for n in ijk.max(axis=0))
    return tuple(least if recorded is None else (int(n) for n in recorded))


def _vertices(subject: Subject) -> Anatomy:
    """Places on a surface, which has no affine: vertex, hemisphere, 0."""
    ijk = np.asarray(subject.ijk)
    if not (np.isin(ijk[:, 1], (0, 1)).all() and not ijk[:, 2].any()):
        raise InvalidInput(
            "the places of the voxels are those of a volume, not vertex and hemisphere",
            where=f"subject {subject.name}",
            fix="declare what they are: --anatomy native or mni",
        )
    return Anatomy(space=SURFACE, ijk=ijk, affine=np.eye(4), shape=_shape(subject, ijk))


def _from_mask(path: Path, count: int, space: str) -> Anatomy:
    if not path.is_file():
        raise MissingResource("no such volume", where=str(path), fix="check --mask")
    try:
        image = nibabel.load(path)
        values = np.asarray(image.dataobj)
        affine = np.asarray(image.affine, dtype=np.float64)
    except (ImageFileError, OSError, EOFError, ValueError) as problem:
        raise InvalidInput(f"not a NIfTI volume: {problem}", where=str(path)) from problem
    ijk = np.argwhere(values > 0)
    if values.ndim != 3 or len(ijk) != count:
        raise InvalidInput(
            f"the mask has {len(ijk)} voxels above 0, the subject has {count}",
            where=str(path),
            fix="give the volume that the responses were cut with",
        )
    return Anatomy(space=space, ijk=ijk, affine=affine, shape=values.shape)
