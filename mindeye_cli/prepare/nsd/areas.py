"""The voxels that `--roi` names: one ROI volume, or an expression over the areas of all of them.

A plain name of a ROI volume takes the voxels above 0 of that volume and reads nothing else. For an
expression every atlas that is there is read over the whole volume; only voxels with a label in one
of them are kept in memory.

Shapes: `X Y Z` volume, `L` voxels with a label in some atlas.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.rois import SIDES, resolve
from mindeye_cli.prepare.nsd.layout import NSD_ATLASES, NsdLayout
from mindeye_cli.prepare.nsd.rois import (
    FALLBACK_NAMES,
    label_names,
    need_roi,
    read_labels,
    read_roi,
)
from mindeye_cli.prepare.nsd.volumes import Mask, indices, mask_of
from mindeye_store.errors import MissingResource

_NAME = re.compile(r"[A-Za-z0-9][\w.:+]*(?:-[\w.:+]+)*")


@dataclass(frozen=True, slots=True)
class _Labels:
    """One atlas over the `L` voxels."""

    labels: NDArray[np.int16]
    names: dict[int, str]


def is_expression(layout: NsdLayout, roi: str) -> bool:
    """Whether `--roi` is more than the name of a ROI volume that is there or is one of NSD's."""
    return not (roi in NSD_ATLASES or layout.has_roi(roi))


def read_area(layout: NsdLayout, roi: str) -> Mask:
    """Read the mask that `--roi` names.

    Parameters
    ----------
    layout : NsdLayout
    roi : str
        Name of a ROI volume, or an expression as `core.rois` describes it.

    Raises
    ------
    MissingResource
        A volume that is named is not there, or none is.
    UsageProblem
        Not an expression.
    InvalidInput
        A damaged volume, an area that no atlas has, or no voxel is left.
    """
    if not is_expression(layout, roi):
        return mask_of(read_roi(layout, roi), roi, str(layout.roi(roi)[0]))
    for atlas, side in named_volumes(layout, roi):
        need_roi(layout, f"{side}.{atlas}" if side else atlas)
    names = [*layout.roi_names(), *_label_files(layout, roi)]
    if not names:
        raise MissingResource(
            "no ROI volume is there",
            where=str(layout.roi_folder),
            fix="download NSD's ROI volumes; --dry-run lists them",
        )
    return _resolved(layout, roi, names)


def named_volumes(layout: NsdLayout, roi: str) -> list[tuple[str, str]]:
    """Atlases that an expression needs, each with `lh`, `rh` or nothing for both hemispheres.

    A label belongs to the atlas whose names list it, there or not; words that nobody lists are
    left to `read_area`, which says where they stand.
    """
    found: dict[tuple[str, str], None] = {}
    for word in _NAME.findall(roi):
        first, _, rest = word.partition(".")
        side, name = (first, rest) if first in SIDES and rest else ("", word)
        atlas, colon, _ = name.partition(":")
        atlas = atlas if colon or atlas in NSD_ATLASES else _atlas_of(layout, name)
        if atlas in NSD_ATLASES or atlas in layout.roi_names():
            found |= {(atlas, ""): None} | ({(atlas, side): None} if side else {})
    return list(found)


def _label_files(layout: NsdLayout, roi: str) -> list[str]:
    """Words of an expression that are FreeSurfer labels of a surface, such as `V1_exvivo`."""
    if not layout.surface:
        return []
    words = (word.removeprefix("lh.").removeprefix("rh.") for word in _NAME.findall(roi))
    there = layout.roi_names()
    return [w for w in dict.fromkeys(words) if w not in there and layout.has_roi(w)]


def _atlas_of(layout: NsdLayout, name: str) -> str:
    """Atlas that has a label or family of labels of that name; empty where none is known."""
    there = layout.roi_names()
    if name in there:
        return name
    known = {atlas: set(label_names(layout, atlas, 0).values()) for atlas in there}
    known = {atlas: set(names) for atlas, names in FALLBACK_NAMES.items()} | known
    family = re.compile(re.escape(name) + r"(v|d|-\d+)?")
    holders = [a for a, names in known.items() if any(family.fullmatch(n) for n in names)]
    return min(holders, key=lambda a: (not a.startswith(("prf-", "floc-")), a), default="")


def _resolved(layout: NsdLayout, roi: str, names: list[str]) -> Mask:
    first = read_roi(layout, names[0])
    shape = first.values.shape
    sides = ("", *(f"{side}." for side in SIDES if f"{side}." in roi))
    volumes = {
        (side, name): read_labels(layout, side + name, shape)
        for side in sides
        for name in names
        if not side or layout.has_roi(side + name)
    }
    labelled = np.zeros(shape, dtype=bool)
    for volume in volumes.values():
        labelled |= volume > 0
    ijk = np.argwhere(labelled)
    atlases = {}
    for (side, name), volume in volumes.items():
        labels = volume[labelled]
        names_here = label_names(layout, name, int(labels.max(initial=0)))
        atlases[side + name] = _Labels(labels, names_here)
    chosen = resolve(atlases, roi, where=f"--roi, areas of {layout.roi_folder}")
    return Mask(shape, indices(ijk[chosen], shape), first.affine)
