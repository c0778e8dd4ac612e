"""Reconstructions of a part of the stimuli: their scores are not those of all."""

from __future__ import annotations

from mindeye_cli.core.trials import image_trials
from mindeye_cli.evaluate.sources import Folder, Stimuli
from mindeye_store import open_store


def subset_warnings(folder: Folder, stimuli: Stimuli) -> list[dict[str, str]]:
    """What to say where stimuli, or test images of the subject, have no reconstruction."""
    all_of_them = _count(folder, stimuli)
    shown = len(set(folder.ids))
    if all_of_them is None or shown >= all_of_them:
        return []
    message = (
        f"{shown} of {all_of_them} stimuli were reconstructed: leaving out images can raise every"
        " score, and identification among fewer is easier"
    )
    return [{"code": "subset", "message": message}]


def _count(folder: Folder, stimuli: Stimuli) -> int | None:
    """Stimuli that could have been reconstructed; None where nothing says it."""
    manifest = folder.manifest or {}
    if stimuli.images is not None:
        return stimuli.count(folder)
    if manifest.get("split") != "test":
        return None
    opened = open_store(stimuli.path(folder))
    if manifest.get("subject") not in opened.subjects:
        return None
    subject = opened.subject(str(manifest["subject"]))
    return len(image_trials(subject, "test").image_rows)
