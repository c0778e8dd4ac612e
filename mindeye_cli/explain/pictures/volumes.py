"""Maps as NIfTI volumes with the affine and shape of the mask.

Shapes: `V` voxels.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.atomic import write_bytes
from mindeye_cli.explain.pictures.space import Anatomy


def write_map(path: Path, anatomy: Anatomy, values: NDArray[np.floating]) -> None:
    """Write values of voxels (V,) as `.nii.gz`, float32, NaN outside; equal maps, equal bytes."""
    image = nibabel.Nifti1Image(anatomy.volume(values), anatomy.affine)
    image.header.set_xyzt_units("mm")
    write_bytes(path, gzip.compress(image.to_bytes(), mtime=0))
