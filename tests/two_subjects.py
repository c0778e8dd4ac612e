"""A finished run of one subject rewritten as one of two, to test the commands that read runs."""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import tomli_w
import torch

from mindeye_cli.core.atomic import write_json
from mindeye_cli.core.checkpoint import load_tensors, save_tensors
from mindeye_cli.core.runs import CONFIG, MODEL, read_run

OTHER = 4  # Voxels of the subject that is put before the run's own.


def with_another_subject(run: Path, out: Path, name: str = "other") -> Path:
    """Copy `run` to `out` with a random input layer for a first subject that no store has."""
    shutil.copytree(run, out)
    info, stem = read_run(run), "backbone.stem.linears."
    tensors = load_tensors(run / MODEL)
    moved = {key.replace(f"{stem}0.", f"{stem}1."): value for key, value in tensors.items()}
    for key, value in tensors.items():
        if key.startswith(f"{stem}0."):
            moved[key] = torch.randn(value.shape[0], *[OTHER] * (value.ndim - 1))
    save_tensors(out / MODEL, moved)
    config = tomllib.loads((run / CONFIG).read_text(encoding="utf-8"))
    config["model"]["n_voxels"].insert(0, OTHER)
    (out / CONFIG).write_text(tomli_w.dumps(config), encoding="utf-8")
    both = replace(
        info,
        subjects=(name, *info.subjects),
        n_voxels=(OTHER, *info.n_voxels),
        voxels=("responses", *info.voxels),
        details={**info.details, "masks": ["places", *info.details["masks"]]},
    )
    write_json(out / "run.json", both)
    return out
