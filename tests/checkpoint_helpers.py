"""Checkpoints in the published layouts, of any sizes, written from a seed.

The pooled layout's prior is described by the keys and shapes that DALLE2-pytorch itself gave
(`tests/models/prior/stock_prior.npz`, see `tests/models/prior/test_stock_prior.py`).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

SEED = 101
STOCK = Path(__file__).parent / "models" / "prior" / "stock_prior.npz"


def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal values that depend on the name alone."""
    source = np.random.default_rng([SEED, zlib.crc32(name.encode())])
    return source.standard_normal(shape).astype(np.float32)


def weight(name: str, shape: tuple[int, ...]) -> Tensor:
    """A tensor of a sensible size: matrices over the root of their fan-in, gains near 1."""
    values = drawn(name, shape)
    if len(shape) > 1:
        values = values / np.sqrt(max(1, int(np.prod(shape[1:]))))
    else:
        values = values * 0.1 + (1.0 if name.endswith(("weight", ".g")) else 0.0)
    return torch.from_numpy(values.astype(np.float32))


def backbone(voxels: int, tokens: int, width: int, hidden: int, blocks: int, inner: int) -> dict:
    """`voxel2clip.*` of the high-level layouts."""
    shapes: dict[str, tuple[int, ...]] = {"lin0.0.weight": (hidden, voxels)}
    shapes |= {"lin0.0.bias": (hidden,), "lin0.1.weight": (hidden,), "lin0.1.bias": (hidden,)}
    for block in range(blocks):
        shapes[f"mlp.{block}.0.weight"] = (hidden, hidden)
        for name in ("0.bias", "1.weight", "1.bias"):
            shapes[f"mlp.{block}.{name}"] = (hidden,)
    shapes |= {"lin1.weight": (tokens * width, hidden), "lin1.bias": (tokens * width,)}
    for index, size in ((0, width), (3, inner), (6, inner)):
        shapes |= {f"projector.{index}.weight": (size,), f"projector.{index}.bias": (size,)}
    for index, (rows, columns) in ((2, (inner, width)), (5, (inner, inner)), (8, (width, inner))):
        shapes[f"projector.{index}.weight"] = (rows, columns)
        shapes[f"projector.{index}.bias"] = (rows,)
    return {f"voxel2clip.{key}": weight(f"voxel2clip.{key}", s) for key, s in shapes.items()}


def stock_prior() -> dict[str, Tensor]:
    """`net.*` and `noise_scheduler.*` of the pooled layout, width 48."""
    with np.load(STOCK) as golden:
        shapes = {
            str(key): tuple(int(n) for n in str(shape).split())
            for key, shape in zip(golden["keys"], golden["shapes"], strict=True)
        }
        state = {}
        for key, shape in shapes.items():
            if key.startswith("noise_scheduler."):
                state[key] = torch.from_numpy(golden[key])
            elif key.endswith("freqs"):
                rates = 10000.0 ** (-np.arange(0, 2 * shape[0], 2) / (2 * shape[0]))
                state[key] = torch.from_numpy(rates.astype(np.float32))
            else:
                state[key] = weight(key, shape)
    return state


def pooled(voxels: int = 30) -> dict[str, Tensor]:
    """The whole `prior_1x768` layout at small sizes."""
    return stock_prior() | backbone(voxels, 1, 48, 20, 2, 24)


def save(path: Path, state: Mapping[str, object], **more: object) -> Path:
    """Write a file as the published training scripts do."""
    torch.save({"epoch": 3, "model_state_dict": dict(state), **more}, path)
    return path
