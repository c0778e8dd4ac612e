"""What a folder's pictures were made from, so that no control passes for a reconstruction.

A manifest says it. Pictures of the ceiling, which come from the true embedding, say it themselves
in a PNG text chunk: the folder's manifest may have stayed behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from mindeye_cli.evaluate.sources import Folder
from mindeye_store.errors import UsageProblem

# The PNG text chunk that `mindeye reconstruct --control` writes (`reconstruct/save.py`).
CHUNK = "mindeye-control"
# Controls of `evaluate` and what their manifests must say.
MADE_FROM = {
    "ceiling": "ceiling",
    "prior-only": "mean-brain",
    "random-voxels": "random-voxels",
}


def made_from(folder: Folder) -> str:
    """`none` for a brain's reconstruction, or the control that the pictures are.

    A plain folder that says nothing counts as a reconstruction.
    """
    recorded = str((folder.manifest or {}).get("control", "none"))
    if recorded != "none" or not folder.files:
        return recorded
    return _chunk(folder.files[0])


def refuse_ceiling(folder: Folder) -> None:
    """Refuse to score pictures of true embeddings as a reconstruction.

    Raises
    ------
    UsageProblem
    """
    if made_from(folder) == "ceiling":
        raise UsageProblem(
            "these pictures come from the true embeddings: they are a ceiling,"
            " not a reconstruction from a brain",
            where=str(folder.path),
            fix=f"mindeye evaluate RECON --control ceiling={folder.path}",
        )


def check_control(name: str, folder: Folder, beside: Folder) -> None:
    """Refuse a control under a name that means something else, or that belongs to other areas.

    Parameters
    ----------
    name : str
    folder : Folder
        The control's.
    beside : Folder
        The reconstruction's.

    Raises
    ------
    UsageProblem
    """
    kind = made_from(folder)
    known = folder.manifest is not None and "control" in folder.manifest
    wrong = kind == "ceiling" and name != "ceiling"
    if known and name in MADE_FROM:
        wrong = kind != MADE_FROM[name]
    if known and name == "shuffled-fit":
        wrong = not is_shuffled(folder.manifest or {})
    if wrong:
        told = "a reconstruction from the brain" if kind == "none" else f"of control {kind!r}"
        raise UsageProblem(
            f"the pictures are {told}, which is not what {name!r} means",
            where=f"--control {name}={folder.path}",
            fix="see docs/evaluate.md for the names with a meaning",
        )
    if known and name == "random-voxels" and _areas(folder) != _areas(beside):
        raise UsageProblem(
            "these random voxels stand in for other areas than the reconstruction beside them read",
            where=f"--control {name}={folder.path}",
            fix="give both the same --keep-rois and --drop-rois",
        )


def _areas(folder: Folder) -> tuple[str | None, str | None]:
    readout = (folder.manifest or {}).get("readout") or {}
    return readout.get("keep"), readout.get("drop")


def is_shuffled(manifest: Mapping[str, Any]) -> bool:
    """Whether a run behind a reconstruction was fitted to shuffled rows."""
    return any(run.get("shuffled") for run in manifest.get("runs", {}).values())


def _chunk(file: Path) -> str:
    try:
        with Image.open(file) as picture:
            return str(picture.info.get(CHUNK, "none"))
    except (UnidentifiedImageError, OSError, SyntaxError):
        return "none"  # Reading the picture says what is wrong with it.
