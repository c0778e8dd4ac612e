"""Features of the built-in networks, computed in batches, once for each set of pictures.

Shapes: `n` entries, `F` features.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindeye_cli.evaluate.pictures import Pictures
from mindeye_cli.evaluate.resize import resize, to_tensor

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SIDE = 64
RESIZE = "64 x 64, bilinear with antialias"
BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What scene-net reads from pictures about the largest object.

    Attributes
    ----------
    category, colour : int64 arrays (n,)
        Places in the scenes' lists of categories and colours.
    place : float64 array (n, 2)
        Centre x, y in [0, 1].
    size : float64 array (n,)
        Fraction of the picture's width.
    features : float64 array (n, F)
    """

    category: Ints
    colour: Ints
    place: Floats
    size: Floats
    features: Floats


def scene_clip(pictures: Pictures) -> Floats:
    """Pooled embeddings, float64 (n, 128), not normalised."""
    return pictures.cached("scene-clip", lambda: _embed(pictures))


def scene_net(pictures: Pictures) -> Reading:
    """scene-net's features and readings."""
    return pictures.cached("scene-net", lambda: _read(pictures))


@lru_cache(maxsize=1)
def _clip() -> Any:
    # Imported when asked for: open_clip takes seconds that pixel metrics need not wait for.
    from mindeye_cli.models.scene.clip import load_scene_clip

    return load_scene_clip()


@lru_cache(maxsize=1)
def _net() -> Any:
    from mindeye_cli.models.scene.net import load_scene_net

    return load_scene_net()


def _batches(pictures: Pictures) -> list[Tensor]:
    return [
        resize(to_tensor(pictures.pixels[start : start + BATCH]), SIDE, antialias=True)
        for start in range(0, len(pictures), BATCH)
    ]


@torch.inference_mode()
def _embed(pictures: Pictures) -> Floats:
    return _array(torch.cat([_clip().embed(batch)[0] for batch in _batches(pictures)]))


@torch.inference_mode()
def _read(pictures: Pictures) -> Reading:
    parts: dict[str, list[Tensor]] = {}
    for batch in _batches(pictures):
        reading = {**_net().read(batch), "features": _net().features(batch)}
        for key, value in reading.items():
            parts.setdefault(key, []).append(value)
    found = {key: torch.cat(values) for key, values in parts.items()}
    return Reading(
        category=found["category"].argmax(dim=1).numpy(),
        colour=found["colour"].argmax(dim=1).numpy(),
        place=_array(torch.stack([found["x"], found["y"]], dim=1)),
        size=_array(found["size"]),
        features=_array(found["features"].flatten(1)),
    )


def _array(values: Tensor) -> Floats:
    return np.asarray(values.double().numpy())
