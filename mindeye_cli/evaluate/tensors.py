"""Pictures in one tensor file: a `.pt` file as MindEye's scripts save it, or safetensors.

`.pt`: a tensor, or a dictionary with `images` and perhaps `ids`. Safetensors: one tensor, or one
called `images`; ids as a JSON list in the metadata `ids`. Nothing in a file can run.

Shapes: `n` pictures, `H W` size.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mindeye_cli.evaluate.pictures import Pixels
from mindeye_cli.models.torch_file import read_torch_file
from mindeye_store.errors import InvalidInput

IMAGES, IDS = "images", "ids"
TORCH, SAFE = (".pt", ".pth"), ".safetensors"
TYPES = (torch.uint8, torch.float16, torch.float32, torch.float64, torch.bfloat16)
# Rounding of a generator's or a resize's arithmetic is clipped; more is another scale.
OVER = 1e-3


def read_tensors(path: Path) -> tuple[Pixels, tuple[str, ...] | None]:
    """Read a tensor file of pictures.

    Parameters
    ----------
    path : Path

    Returns
    -------
    pixels : uint8 or float array (n, H, W, 3)
        Floats in [0, 1], mapped from the file where its format allows.
    ids : tuple of str or None

    Raises
    ------
    InvalidInput
        Not such a file, another shape, values that are not finite or outside [0, 1].
    """
    suffix = path.suffix.lower()
    if suffix not in (*TORCH, SAFE):
        raise InvalidInput(
            "neither a folder nor a tensor file", where=str(path), fix="give a .pt or .safetensors"
        )
    tensor, ids = _safetensors(path) if suffix == SAFE else _torch(path)
    pixels = _pictures(tensor, path)
    if ids is not None and (len(ids) != len(pixels) or len(set(ids)) != len(ids)):
        raise InvalidInput(
            f"{len(set(ids))} different ids for {len(pixels)} pictures", where=f"{path}: {IDS}"
        )
    return pixels, ids


def _torch(path: Path) -> tuple[Tensor, tuple[str, ...] | None]:
    saved = read_torch_file(path)
    if isinstance(saved, Mapping) and IMAGES in saved:
        return _tensor(saved[IMAGES], path), _ids(saved.get(IDS), path)
    return _tensor(saved, path), None


def _safetensors(path: Path) -> tuple[Tensor, tuple[str, ...] | None]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            name = IMAGES if IMAGES in names else names[0] if len(names) == 1 else None
            if name is None:
                raise InvalidInput(
                    f"{len(names)} tensors, none of them called {IMAGES!r}", where=str(path)
                )
            listed = (file.metadata() or {}).get(IDS)
            return file.get_tensor(name), _ids(json.loads(listed) if listed else None, path)
    except (SafetensorError, OSError, json.JSONDecodeError) as problem:
        raise InvalidInput(f"not safetensors: {problem}", where=str(path)) from problem


def _tensor(value: Any, path: Path) -> Tensor:
    if isinstance(value, Tensor):
        return value
    raise InvalidInput(
        f"a {type(value).__name__}, not a tensor of pictures",
        where=str(path),
        fix=f"save a tensor (n, 3, H, W), or a dictionary with {IMAGES!r} and {IDS!r}",
    )


def _ids(value: Any, path: Path) -> tuple[str, ...] | None:
    if value is None:
        return None
    listed = value.tolist() if isinstance(value, Tensor) else value
    if not isinstance(listed, list | tuple) or not all(isinstance(v, str | int) for v in listed):
        raise InvalidInput("not a list of image ids", where=f"{path}: {IDS}")
    return tuple(str(v) for v in listed)


def _pictures(tensor: Tensor, path: Path) -> Pixels:
    """Check and turn (n, 3, H, W) or (n, H, W, 3) into (n, H, W, 3), without a copy."""
    channels = [axis for axis in (1, 3) if tensor.ndim == 4 and tensor.shape[axis] == 3]
    if not channels or tensor.dtype not in TYPES or 0 in tensor.shape:
        raise InvalidInput(
            f"{tensor.dtype} of shape {tuple(tensor.shape)}, not pictures (n, 3, H, W)",
            where=str(path),
        )
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    pixels: Pixels = (tensor.permute(0, 2, 3, 1) if channels[0] == 1 else tensor).numpy()
    if pixels.dtype != np.uint8:
        for row, picture in enumerate(pixels):
            _check_values(picture, f"{path}: row {row}")
    return pixels


def _check_values(picture: Any, where: str) -> None:
    low, high = float(picture.min()), float(picture.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InvalidInput("values that are not finite (NaN or infinite)", where=where)
    if low < -OVER or high > 1 + OVER:
        fix = "divide by 255, or save as uint8" if high > 2 else "bring the pictures to [0, 1]"
        raise InvalidInput(
            f"values from {low:.3g} to {high:.3g}, outside [0, 1]", where=where, fix=fix
        )
