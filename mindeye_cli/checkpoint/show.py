"""`mindeye checkpoint show`: what a RUN's weights are, and whether they are all there."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from mindeye_cli.core.config import load_config
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.runs import CONFIG, MODEL, RunInfo, read_run
from mindeye_cli.models.high_level import HighLevelConfig, HighLevelModel
from mindeye_cli.models.lowlevel import LowLevelConfig, LowLevelModel
from mindeye_store.errors import InvalidInput, MissingResource


def show_run(run: Path) -> Outcome:
    """Describe a RUN's weights; of the file, its header alone is read.

    Parameters
    ----------
    run : Path
        Trained here or imported.

    Returns
    -------
    Outcome
        Values `kind`, `space`, `shape`, `n_voxels`, `subjects`, `state`, `parameters`, `tensors`;
        `missing` and `unused`: tensors that the run's model lacks in the file, or that the file has
        besides; for an imported run `unused` are the published keys left out, with `recomputed`,
        `epoch`, `layout`, `sha256` and `note` as the import said them.

    Raises
    ------
    MissingResource, InvalidInput
        There is no run, its weights are absent, or a file is damaged.
    """
    info = read_run(run)
    shapes = _header(run / MODEL, info)
    wanted = _wanted(run, info, shapes)
    imported = info.details.get("imported", {})
    values: dict[str, Any] = {
        "kind": info.kind,
        "space": info.space,
        "shape": info.details["target_shape"],
        "n_voxels": info.n_voxels,
        "subjects": [name for name in info.subjects if name],
        "state": info.status,
        "steps": info.steps,
        "parameters": sum(torch.Size(shape).numel() for shape in shapes.values()),
        "tensors": len(shapes),
        "missing": sorted(set(wanted) - set(shapes)),
        "unused": [*imported.get("unused", []), *sorted(set(shapes) - set(wanted))],
        "recomputed": imported.get("recomputed", []),
    }
    for key in ("format", "layout", "epoch", "sha256", "note"):
        values[key] = imported.get(key) or None
    return Outcome(outputs=(run,), values=values)


def _header(file: Path, info: RunInfo) -> dict[str, tuple[int, ...]]:
    if not file.exists():
        raise MissingResource(
            "the run has no weights yet" if info.status == "training" else "the weights are absent",
            where=str(file),
            fix=f"mindeye train {info.kind} STORE RUN --resume auto",
        )
    try:
        with safe_open(file, framework="pt") as opened:
            return {key: tuple(opened.get_slice(key).get_shape()) for key in opened.keys()}
    except (OSError, SafetensorError) as problem:
        raise InvalidInput(
            f"cannot be read: {problem}", where=str(file), fix="restore it, or make the run again"
        ) from problem


def _wanted(
    run: Path, info: RunInfo, shapes: dict[str, tuple[int, ...]]
) -> dict[str, tuple[int, ...]]:
    """Names and shapes that the run's configuration asks for; ridge has none but its own."""
    if info.kind == "ridge":
        return shapes
    try:
        model = tomllib.loads((run / CONFIG).read_text(encoding="utf-8"))["model"]
    except (OSError, KeyError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise InvalidInput(
            "the run's configuration cannot be read",
            where=str(run / CONFIG),
            fix="restore it, or make the run again",
        ) from problem
    with torch.device("meta"):
        built = (
            HighLevelModel(load_config(HighLevelConfig, preset=model))
            if info.kind == "high-level"
            else LowLevelModel(load_config(LowLevelConfig, preset=model))
        )
    wanted = {name: tuple(tensor.shape) for name, tensor in built.state_dict().items()}
    wrong = [name for name in wanted if name in shapes and shapes[name] != wanted[name]]
    if wrong:
        raise InvalidInput(
            f"shape {shapes[wrong[0]]} where the configuration asks for {wanted[wrong[0]]}",
            where=f"{run / MODEL}: {wrong[0]}",
            fix="make the run again",
        )
    return wanted
