"""What is drawn when the networks read some areas of the brain only, or random voxels like them.

Shapes: `V` voxels.
"""

from __future__ import annotations

from typing import Any

from mindeye_cli.core.fingerprint import of_array
from mindeye_cli.core.kept_voxels import Mask, kept_voxels, matched_in, matched_voxels
from mindeye_cli.reconstruct.options import RANDOM_VOXELS, Options

QUESTION = "needed by decoder"


def read_voxels(subject: Any, options: Options) -> Mask | None:
    """Voxels that the networks read, bool (V,); None where no area is named.

    Raises
    ------
    UsageProblem, InvalidInput
        As of `kept_voxels`.
    """
    kept = kept_voxels(subject, options.keep_rois, options.drop_rois)
    if kept is None or options.control != RANDOM_VOXELS:
        return kept
    return matched_voxels(subject, kept, 1, options.seed)[0]


def readout_settings(subject: Any, options: Options, kept: Mask | None) -> dict[str, Any]:
    """What the plan records of it, so that other areas are another reconstruction.

    Parameters
    ----------
    subject : mindeye_store Subject
    options : Options
    kept : bool array (V,) or None
        Of `read_voxels`.

    Returns
    -------
    dict
        `readout`; empty where no area is named.
    """
    if kept is None:
        return {}
    matched = {"matched": matched_in(subject)} if options.control == RANDOM_VOXELS else {}
    record = {
        "question": QUESTION,
        "keep": options.keep_rois,
        "drop": options.drop_rois,
        "voxels": int(kept.sum()),
        "of": len(kept),
        **matched,
        "mask": of_array(kept),
    }
    return {"readout": record}
