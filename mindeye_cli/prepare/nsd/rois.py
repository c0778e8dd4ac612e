"""ROI volumes of every atlas that is there, and the names of their labels.

In NSD's volumes -1 is outside the hemisphere's cortex, 0 is cortex without a label, and labels
count from 1. Names come from FreeSurfer's colour table; the fallback is NSD's published list
(`analysis_surfaceroistovolume` of the data paper's code, names as its users give them).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mindeye_cli.prepare.nsd.layout import NsdLayout, need_file
from mindeye_cli.prepare.nsd.volumes import Mask, read_volume
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


def need_roi(layout: NsdLayout, name: str) -> Path:
    """Path of the ROI volume that is to be the mask.

    Raises
    ------
    MissingResource
        It is not there; the ones that are there are named.
    """
    there = ", ".join(layout.roi_names()) or "none"
    return need_file(
        layout.roi(name),
        f"the ROI volume {name}",
        fix=f"download it, or choose one that is there with --roi ({there})",
    )


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
        path = layout.roi(name)
        values = mask.take(read_volume(path, f"the ROI volume {name}", fits=mask.shape).values)
        labels = np.asarray(values).astype(np.int16)
        if not np.array_equal(labels, values):
            raise InvalidInput(
                f"the ROI volume {name} holds values that are no labels", where=str(path)
            )
        rois[name] = RoiLabels(labels, label_names(layout, name, int(labels.max())))
    return rois


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
