"""Checkpoints of a run: whole or absent, the newest named by `LATEST`, which is replaced last.

    checkpoints/ckpt-<step>/tensors.safetensors   weights, moments, random states
    checkpoints/ckpt-<step>/state.json            step, epoch and other scalars
    checkpoints/LATEST                            the folder's name

Tensors go to safetensors and scalars to JSON: nothing here can run code when it is read.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindeye_cli.core.atomic import (
    remove_abandoned,
    staged_dir,
    write_json,
    write_stream,
    write_text,
)
from mindeye_store.errors import InvalidInput, MindeyeError, MissingResource

if TYPE_CHECKING:
    import torch

TENSORS = "tensors.safetensors"
KEEP = 2  # The newest and one to fall back on by hand.


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One checkpoint as read: its folder, its step, and both its contents."""

    path: Path
    step: int
    tensors: dict[str, torch.Tensor]
    state: dict[str, Any]


def save(
    run: Path,
    step: int,
    tensors: Mapping[str, torch.Tensor],
    state: Mapping[str, Any],
    *,
    keep: int = KEEP,
) -> Path:
    """Write one checkpoint and make it the latest.

    Parameters
    ----------
    run : Path
        The RUN folder.
    step : int
        Optimiser steps done.
    tensors : mapping of str to Tensor
        Everything of array kind; names are the caller's, such as `model.` and `optimizer.`.
    state : mapping
        JSON scalars needed to go on.
    keep : int
        How many checkpoints stay; older ones go only after `LATEST` names the new one.

    Returns
    -------
    Path
        The checkpoint's folder.
    """
    folder = run / "checkpoints"
    target = folder / f"ckpt-{step}"
    remove_abandoned(folder)
    if target.exists() and _pointer(run) == target.name:
        return target  # The same step again, after a resume that had nothing to add.
    with staged_dir(target, overwrite=True) as staged:
        save_tensors(staged / TENSORS, tensors)
        write_json(staged / "state.json", {"step": step, **state})
    write_text(folder / "LATEST", target.name + "\n")
    for old in sorted(folder.glob("ckpt-*"), key=_step)[:-keep]:
        if _step(old) >= 0 and old != target:
            shutil.rmtree(old)
    return target


def latest(run: Path) -> Checkpoint | None:
    """Read the checkpoint that `LATEST` names; None before the first one.

    Raises
    ------
    MissingResource, InvalidInput
        When `LATEST` names what is absent or damaged.
    """
    name = _pointer(run)
    return None if name is None else load(run / "checkpoints" / name)


def latest_step(run: Path) -> int:
    """Step of the checkpoint that `LATEST` names, without reading it; 0 before the first one."""
    name = _pointer(run)
    return 0 if name is None else _step(Path(name))


def latest_tensors(run: Path) -> Path | None:
    """The tensors' file of the checkpoint that `LATEST` names; None before the first one."""
    name = _pointer(run)
    return None if name is None else run / "checkpoints" / name / TENSORS


def load(folder: Path) -> Checkpoint:
    """Read one checkpoint folder.

    Raises
    ------
    MissingResource, InvalidInput
        When a file is absent or damaged.
    """
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as problem:
        raise _unreadable(folder / "state.json", problem) from problem
    return Checkpoint(folder, state["step"], load_tensors(folder / TENSORS), state)


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write tensors to one safetensors file in one step; the bytes depend on the tensors alone."""
    from mindeye_cli.core.tensor_file import write_tensors

    write_stream(path, lambda stream: write_tensors(stream, tensors))


def load_tensors(path: Path, prefix: str = "") -> dict[str, torch.Tensor]:
    """Read one safetensors file: the tensors whose names begin with `prefix`, without it.

    Raises
    ------
    MissingResource
        When the file is absent.
    InvalidInput
        When it is truncated or not safetensors.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            return {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as problem:
        raise _unreadable(path, problem) from problem


def _pointer(run: Path) -> str | None:
    file = run / "checkpoints" / "LATEST"
    return file.read_text(encoding="utf-8").strip() if file.exists() else None


def _step(folder: Path) -> int:
    number = folder.name.removeprefix("ckpt-")
    return int(number) if number.isdigit() else -1


def _unreadable(file: Path, problem: Exception) -> MindeyeError:
    fix = "restore the file, or start again with --overwrite"
    if isinstance(problem, FileNotFoundError):
        return MissingResource("the file is absent", where=str(file), fix=fix)
    return InvalidInput(f"cannot be read: {problem}", where=str(file), fix=fix)
