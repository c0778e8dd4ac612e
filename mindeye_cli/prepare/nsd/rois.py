"""ROI volumes of every atlas that is there, and the names of their labels.

In NSD's volumes -1 is outside the hemisphere's cortex, 0 is cortex without a label, and labels
count from 1. Names come from FreeSurfer's colour table; the fallback is NSD's published list
(`analysis_surfaceroistovolume` of the data paper's code, names as its users give them).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.rois import SIDES
from mindeye_cli.prepare.nsd.layout import NsdLayout, need_file
from mindeye_cli.prepare.nsd.surfaces import read_surface
from mindeye_cli.prepare.nsd.volumes import Mask, Volume, read_volume
from mindeye_cli.prepare.voxels import RoiLabels
from mindeye_store.errors import InvalidInput

_VISUAL = ("V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4")
FALLBACK_NAMES: dict[str, tuple[str, ...]] = {
    "nsdgeneral": ("nsdgeneral",),
    "prf-visualrois": _VISUAL,
    "prf-eccrois": ("ecc0pt5", "ecc1", "ecc2", "ecc4", "ecc4+"),
    "floc-faces": ("OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces"),
    "floc-words": ("OWFA", "VWFA-1", "VWFA-2", "mfs-words", "mTL-words"),
    "floc-places": ("OPA", "PPA", "RSC"),
    "floc-bodies": ("EBA", "FBA-1", "FBA-2", "mTL-bodies"),
    "streams": (
        "early",
        "midventral",
        "midlateral",
        "midparietal",
        "ventral",
        "lateral",
        "parietal",
    ),
}


def need_roi(layout: NsdLayout, name: str) -> None:
    """See that the files of an atlas are there.

    Raises
    ------
    MissingResource
        One is not there; the atlases that are there are named.
    """
    there = ", ".join(layout.roi_names()) or "none"
    for path in layout.roi(name):
        need_file(
            path,
            f"the ROI {'labels' if layout.surface else 'volume'} {name}",
            fix=f"download it, or choose one that is there with --roi ({there})",
        )


def read_roi(layout: NsdLayout, name: str, fits: tuple[int, ...] | None = None) -> Volume:
    """Labels of a whole atlas as they are stored, (X, Y, Z); of a surface (vertices, 1, 1).

    Raises
    ------
    MissingResource
        A file is not there.
    InvalidInput
        A file is damaged, or of another shape than `fits`.
    """
    need_roi(layout, name)
    if layout.surface:
        return read_surface(layout, name, fits)
    return read_volume(layout.roi(name)[0], f"the ROI volume {name}", fits=fits)


def read_rois(layout: NsdLayout, mask: Mask) -> dict[str, RoiLabels]:
    """Labels of the mask's voxels in every atlas that is there.

    Returns
    -------
    dict of str to RoiLabels
        By atlas, sorted by name.

    Raises
    ------
    InvalidInput
        A volume does not fit the mask or holds something else than labels.
    """
    rois = {}
    for name in layout.roi_names():
        labels = _labels(layout, name, mask.shape, mask)
        rois[name] = RoiLabels(labels, label_names(layout, name, int(labels.max())))
    return rois


def read_labels(layout: NsdLayout, name: str, shape: tuple[int, ...]) -> NDArray[np.int16]:
    """Labels of a whole atlas, int16 (X, Y, Z).

    Raises
    ------
    InvalidInput
        It has another shape or holds something else than labels.
    """
    return _labels(layout, name, shape, None)


def read_hemispheres(layout: NsdLayout, mask: Mask) -> RoiLabels | None:
    """Hemisphere of the mask's voxels by the lh. and rh. volumes; None where these are not there.

    A voxel is left where a left volume counts it as cortex (0 and above), as in NSD's own
    volumes of both hemispheres, and 0 where no volume does.
    """
    labels = np.zeros(len(mask.ijk), dtype=np.int16)
    for number, side in reversed(list(enumerate(SIDES, start=1))):
        names = [f"{side}.{name}" for name in layout.roi_names()]
        there = [name for name in names if layout.has_roi(name)]
        for name in there:
            labels[_labels(layout, name, mask.shape, mask) >= 0] = number
        if not there:
            return None
    return RoiLabels(labels, dict(enumerate(SIDES, start=1)))


def _labels(
    layout: NsdLayout, name: str, shape: tuple[int, ...], mask: Mask | None
) -> NDArray[np.int16]:
    values = read_roi(layout, name, shape).values
    values = np.asarray(values if mask is None else mask.take(values))
    with np.errstate(invalid="ignore"):
        labels = values.astype(np.int16)
    if not np.array_equal(labels, values):
        raise InvalidInput(
            f"the ROI volume {name} holds values that are no labels", where=str(layout.roi(name)[0])
        )
    return labels


def label_names(layout: NsdLayout, atlas: str, highest: int) -> dict[int, str]:
    """Names of an atlas's labels: from its colour table, else NSD's list, else the numbers.

    Raises
    ------
    InvalidInput
        The colour table has a line that is not a number and a name.
    """
    numbers = {label: str(label) for label in range(1, highest + 1)}
    try:
        text = layout.label_table(atlas).read_text(encoding="utf-8")
    except FileNotFoundError:
        listed = FALLBACK_NAMES.get(atlas, ())
        return numbers | dict(enumerate(listed, start=1))
    except UnicodeDecodeError as error:
        raise InvalidInput("not a text file", where=str(layout.label_table(atlas))) from error
    names = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 2 or not words[0].lstrip("-").isdigit():
            raise InvalidInput(
                f"line {number} is not a number and a name", where=str(layout.label_table(atlas))
            )
        if int(words[0]) > 0:
            names[int(words[0])] = words[1]
    return numbers | names
