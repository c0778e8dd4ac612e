"""The simulated visual areas: their sizes, what drives them, and their labels in NSD's atlases.

Label numbers and names are those of NSD's own ROI volumes and colour tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Drive = Literal["gabor", "colour", "place", "surface", "category", "none"]

ATLASES: dict[str, tuple[str, ...]] = {
    "nsdgeneral": ("nsdgeneral",),
    "prf-visualrois": ("V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4"),
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


@dataclass(frozen=True, slots=True)
class Area:
    """One patch of cortex, present in both hemispheres.

    Parameters
    ----------
    name : str
        Its label in `atlas`; areas without an atlas keep a name for the truth alone.
    atlas : str or None
        The atlas that names it.
    stream : str or None
        Its label in `streams`.
    weight : int
        Its share of all voxels, in thousandths.
    drive : {"gabor", "colour", "place", "surface", "category", "none"}
        What its tuned voxels respond to; "place" and "surface" are objects' places and colours.
    slab : int
        Position from back (0) to front, areas of a slab being stacked from below to above.
    """

    name: str
    atlas: str | None
    stream: str | None
    weight: int
    drive: Drive
    slab: int


_VISUAL, _FACES, _WORDS = "prf-visualrois", "floc-faces", "floc-words"
_PLACES, _BODIES = "floc-places", "floc-bodies"

AREAS: tuple[Area, ...] = (
    Area("V1v", _VISUAL, "early", 70, "gabor", 0),
    Area("V1d", _VISUAL, "early", 70, "gabor", 0),
    Area("V2v", _VISUAL, "early", 55, "gabor", 1),
    Area("V2d", _VISUAL, "early", 55, "gabor", 1),
    Area("V3v", _VISUAL, "early", 50, "gabor", 2),
    Area("V3d", _VISUAL, "early", 50, "gabor", 2),
    Area("hV4", _VISUAL, "midventral", 60, "colour", 3),
    Area("VO", None, "ventral", 65, "surface", 3),
    Area("OWFA", _WORDS, "midlateral", 10, "category", 3),
    Area("OFA", _FACES, "midlateral", 12, "category", 3),
    Area("OPA", _PLACES, "lateral", 22, "category", 3),
    Area("LO", None, "midlateral", 65, "place", 3),
    Area("midparietal", None, "midparietal", 35, "none", 3),
    Area("VWFA-1", _WORDS, "ventral", 20, "category", 4),
    Area("FFA-1", _FACES, "ventral", 28, "category", 4),
    Area("FBA-1", _BODIES, "ventral", 16, "category", 4),
    Area("PPA", _PLACES, "ventral", 36, "category", 4),
    Area("EBA", _BODIES, "midlateral", 40, "category", 4),
    Area("lateral", None, "lateral", 40, "none", 4),
    Area("mTL-words", _WORDS, "ventral", 10, "none", 5),
    Area("mTL-faces", _FACES, "ventral", 10, "none", 5),
    Area("mTL-bodies", _BODIES, "ventral", 10, "none", 5),
    Area("aTL-faces", _FACES, "ventral", 8, "none", 5),
    Area("mfs-words", _WORDS, "ventral", 8, "none", 5),
    Area("VWFA-2", _WORDS, "ventral", 18, "category", 5),
    Area("FFA-2", _FACES, "ventral", 22, "category", 5),
    Area("FBA-2", _BODIES, "ventral", 15, "category", 5),
    Area("RSC", _PLACES, "ventral", 18, "category", 5),
    Area("parietal", None, "parietal", 40, "none", 5),
    Area("unlabelled", None, None, 42, "none", 5),
)

TUNED_SHARE: dict[Drive, float] = {
    "gabor": 0.9,
    "colour": 0.88,
    "place": 0.85,
    "surface": 0.85,
    "category": 0.8,
    "none": 0.0,
}

# A floc area is drawn by hand after a localiser, and subjects lack one here and there.
_LACKING = ("RSC", "OWFA", "FBA-1", "VWFA-2", "FFA-2", "OFA", "FBA-2", "VWFA-1")

# An area without signal that shares strong noise with tuned areas: a decoder gives it weight
# because it cancels that noise. "lateral" has no signal and is coupled to nothing.
SUPPRESSORS: dict[str, tuple[str, ...]] = {
    "parietal": ("FFA-1", "FFA-2"),
    "midparietal": ("PPA", "OPA"),
}


def lacking_area(subject: int) -> str:
    """The area that subject number `subject` (1 to 8) does not have."""
    return _LACKING[(subject - 1) % len(_LACKING)]
