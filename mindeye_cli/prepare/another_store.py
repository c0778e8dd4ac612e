"""Voxels of a subject that is in a store already, for further test sets of the same person.

A run applies to the very voxels that it was trained on, in their order. A further test set of a
subject (NSD-synthetic, NSD-Imagery, a later session) is therefore cut to the voxels that the
subject has in the store of the training data, and kept in a store of its own under the same name:
every command that takes a STORE and a RUN then works without knowing of it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mindeye_cli.prepare.nsd.volumes import Mask
from mindeye_cli.prepare.voxels import RoiLabels, VoxelTable
from mindeye_store import open_store
from mindeye_store.errors import InvalidInput


def voxels_of(store: Path, name: str) -> VoxelTable:
    """What a store knows of a subject's voxels.

    Raises
    ------
    MissingResource
        No such store or subject.
    """
    subject = open_store(store).subject(name)
    return VoxelTable(
        count=int(subject.voxels.shape[1]),
        ijk=subject.ijk,
        affine=None if subject.affine is None else subject.affine.tolist(),
        volume_shape=subject.attrs.get("volume_shape"),
        rois={atlas: RoiLabels(roi.labels, roi.names) for atlas, roi in subject.rois.items()},
        file_ncsnr=subject.ncsnr,
    )


def mask_of(table: VoxelTable | None) -> Mask | None:
    """The voxels' places as a mask of a volume whose shape is not known yet."""
    if table is None or table.ijk is None:
        return None
    affine = np.eye(4) if table.affine is None else np.asarray(table.affine, dtype=np.float64)
    return Mask((), table.ijk, affine)


def need_count(table: VoxelTable, count: int, where: str) -> VoxelTable:
    """The table, when the responses have as many voxels.

    Raises
    ------
    InvalidInput
        They have not.
    """
    if table.count != count:
        raise InvalidInput(
            f"{count} voxels, but the subject of --voxels-of has {table.count}",
            where=where,
            fix="give the responses as volumes, or cut to the voxels that the store lists",
        )
    return table
