"""What NSD's own folder adds to data derived from it: places and areas of voxels, COCO's ids.

Shapes: `V` voxels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mindeye_cli.prepare.annotations import FILE, Annotations, read_annotations
from mindeye_cli.prepare.nsd.areas import read_area
from mindeye_cli.prepare.nsd.layout import NsdLayout
from mindeye_cli.prepare.nsd.rois import read_rois
from mindeye_cli.prepare.nsd.stimulus_table import read_stimulus_table
from mindeye_cli.prepare.releases import owner_of_voxels
from mindeye_cli.prepare.voxels import VoxelTable
from mindeye_store.errors import InvalidInput

MASK = "nsdgeneral"


def voxel_table(root: Path | None, subject: int, count: int, where: str) -> VoxelTable:
    """Metadata of `nsdgeneral`'s voxels, in C order of the mask, as derived data keeps them.

    Parameters
    ----------
    root : Path, optional
        NSD's folder; without it nothing is known of the voxels.
    subject : int
        1 to 8.
    count : int
        `V` of the derived data.
    where : str
        The derived data, for messages.

    Raises
    ------
    InvalidInput
        The number of voxels is another subject's, or not the mask's.
    """
    owner = owner_of_voxels(count)
    if owner not in (None, subject):
        raise InvalidInput(
            f"{count} voxels are those of subject {owner}, not {subject}",
            where=where,
            fix=f"--subject {owner}",
        )
    if root is None:
        return VoxelTable(count=count)
    layout = NsdLayout(root=root, subject=subject)
    mask = read_area(layout, MASK)
    if len(mask.ijk) != count:
        raise InvalidInput(
            f"{MASK} has {len(mask.ijk)} voxels but the responses have {count}",
            where=str(layout.roi(MASK)[0]),
            fix="give the NSD folder that the data were derived from, or leave --nsd out",
        )
    return VoxelTable(
        count=count,
        ijk=mask.ijk,
        affine=mask.affine.tolist(),
        volume_shape=[int(n) for n in mask.shape],
        rois=read_rois(layout, mask),
    )


def picture_facts(
    folder: Path, root: Path | None, subject: int, images: list[int]
) -> tuple[list[str] | None, list[dict[str, Any]]]:
    """Captions and records of NSD's images, by number from 0.

    Parameters
    ----------
    folder : Path
        Of the derived data; `scenes.jsonl` in it is read when it is there.
    root : Path, optional
        NSD's folder, whose table of pictures holds COCO's ids.
    subject : int
    images : list of int

    Returns
    -------
    list of str or None, list of dict
        Every record has `nsd_id`, and COCO's facts where they are known.
    """
    notes: Annotations = read_annotations(folder / FILE)
    origins: dict[int, dict[str, Any]] = {}
    if root is not None:
        table = NsdLayout(root=root, subject=subject).stimulus_table
        if table.exists():
            origins = read_stimulus_table(table, subject).origins
    said = notes.of_records(images) or [{}] * len(images)
    records = [
        {"nsd_id": image} | origins.get(image, {}) | more
        for image, more in zip(images, said, strict=True)
    ]
    return notes.of_captions(images), records
