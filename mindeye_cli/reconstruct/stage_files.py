"""What a stage leaves of a batch: one safetensors file, whole or not at all."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file

from mindeye_cli.core.atomic import write_stream
from mindeye_cli.core.tensor_file import write_tensors


def stage_file(out: Path, stage: str, number: int) -> Path:
    """Where a stage's part of a batch lies."""
    return out / "stages" / f"{stage}-{number:05d}.safetensors"


def write_batch(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Keep what a stage made of a batch."""
    tensors = {key: torch.from_numpy(np.ascontiguousarray(row)) for key, row in arrays.items()}
    write_stream(path, lambda stream: write_tensors(stream, tensors))


def read_batch(path: Path) -> dict[str, Any]:
    """Read what :func:`write_batch` kept."""
    return load_file(path)


def read_one(path: Path, name: str) -> NDArray[Any]:
    """Read one array of what :func:`write_batch` kept, and nothing of the others."""
    with safe_open(path, framework="numpy") as file:
        return np.asarray(file.get_tensor(name))


def is_kept(path: Path) -> bool:
    """Whether a stage has done its part; a file that a failing disk cut short is made again."""
    try:
        with safe_open(path, framework="numpy"):
            return True
    except FileNotFoundError:
        return False
    except SafetensorError as problem:
        logging.getLogger("mindeye").warning("%s is damaged and made again: %s", path, problem)
        return False
