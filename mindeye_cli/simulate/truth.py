"""The truth about a simulated subject, for tests and benchmarks: the pipeline never reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.core.atomic import write_json
from mindeye_cli.core.scenes import BACKGROUNDS, CATEGORIES
from mindeye_cli.simulate import filters
from mindeye_cli.simulate.areas import AREAS, SUPPRESSORS
from mindeye_cli.simulate.design import Design
from mindeye_cli.simulate.noise import SHARED
from mindeye_cli.simulate.subject import Subject


def write_truth(folder: Path, subject: Subject, design: Design) -> None:
    """Write `SUBJECT.npz` (arrays) and `SUBJECT.json` (names) into `folder`.

    Arrays over voxels are in C order of the mask. `early_*` and `object_*` hold one row for each
    voxel listed in `early_voxel` and `object_voxel`. `response` has one row per 10k number:
    responses without noise, in units of the SD of the trial noise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    early, objects = subject.tuning.early, subject.tuning.objects
    arrays: dict[str, Any] = {
        "ijk": subject.anatomy.ijk,
        "left": subject.anatomy.left,
        "area": subject.anatomy.area,
        "tuned": subject.tuning.tuned,
        "amplitude": subject.tuning.amplitude,
        "baseline": subject.baseline,
        "scale": subject.scale,
        "dead": subject.dead,
        "gain": subject.gain,
        "loadings": subject.noise.loadings,
        "response": subject.response,
        "image_73k": design.subjectim[subject.number - 1],
    }
    for prefix, part in (("early", early), ("object", objects)):
        arrays |= {f"{prefix}_{name}": getattr(part, name) for name in part.__slots__}
    np.savez(folder / f"{subject.name}.npz", allow_pickle=False, **arrays)
    write_json(
        folder / f"{subject.name}.json",
        {
            "areas": [area.name for area in AREAS],
            "drives": [area.drive for area in AREAS],
            "lacking": subject.anatomy.lacking,
            "suppressors": SUPPRESSORS,
            "factors": subject.noise.factors,
            "shared_noise": SHARED,
            "categories": CATEGORIES,
            "backgrounds": BACKGROUNDS,
            "wavelengths_px": filters.WAVELENGTHS,
            "orientations": filters.ORIENTATIONS,
            "linear_channels": filters.LINEAR,
        },
    )
