"""What every frozen encoder says of itself and does.

Shapes: `B` batch, `H W` picture, `S` side in pixels.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mindeye_cli.core.fingerprint import of_json
from mindeye_store.errors import InvalidInput, UsageProblem

Norm = Literal["cls", "unit", "raw"]
# uint8, or float32 in [0, 1] for pictures that were altered.
Pixels = NDArray[np.uint8] | NDArray[np.float32]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """A frozen map from pictures to one SPACE.

    Attributes
    ----------
    space : str
    shape : tuple of int
        Of one image's row.
    norm : {"cls", "unit", "raw"}
        `cls`: all tokens divided by the norm of token 0; `unit`: the row has norm 1.
    dtype : {"float16", "float32"}
        In which rows are kept.
    description : dict
        Weights and transform, ready for JSON; its hash is the fingerprint.
    encode : callable
        uint8, or float32 in [0, 1], (B, H, W, 3) -> float32 (B, *shape).
    """

    space: str
    shape: tuple[int, ...]
    norm: Norm
    dtype: str
    description: dict[str, Any]
    encode: Callable[[Pixels], Floats]

    @property
    def fingerprint(self) -> str:
        """sha256 of weights, transform, shape and norm: equal fingerprints, equal targets."""
        return of_json(
            {
                "space": self.space,
                "shape": self.shape,
                "norm": self.norm,
                "dtype": self.dtype,
                **self.description,
            }
        )


def array_encoder(space: str, shape: tuple[int, ...], dtype: str, digest: str) -> Encoder:
    """Declare rows that were computed elsewhere; there is nothing to encode with."""

    def encode(images: Pixels) -> Floats:
        raise InvalidInput(
            f"{space} is a user's array and cannot encode pictures",
            where=space,
            fix="choose a space that has an encoder",
        )

    return Encoder(
        space=space,
        shape=tuple(int(n) for n in shape),
        norm="raw",
        dtype=dtype,
        description={"rows": digest},
        encode=encode,
    )


def named_side(space: str, name: str, side: int, stride: int) -> int:
    """Side at which a space reads pictures: `side` for `name` itself, S for `name:S`.

    Raises
    ------
    UsageProblem
        Another name, or a side that is no multiple of `stride`.
    """
    found = re.fullmatch(re.escape(name) + r"(?::([1-9]\d{1,3}))?", space)
    chosen = int(found[1] or side) if found else 0
    if not chosen or chosen % stride:
        raise UsageProblem(
            f"{space!r} is not {name}, nor {name}:SIDE with a multiple of {stride}",
            where="--space",
        )
    return chosen


def to_unit_range(images: Pixels, device: torch.device) -> Tensor:
    """uint8, or float32 in [0, 1], (B, H, W, 3) -> float32 (B, 3, H, W) in [0, 1]."""
    pixels = torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2)
    return pixels if pixels.dtype == torch.float32 else pixels / 255.0


def resize_crop(
    pixels: Tensor, side: int, *, mode: str = "bicubic", squash: bool = False
) -> Tensor:
    """Shorter side to `side` without antialiasing, then the middle square.

    As torchvision 0.15 resized tensors, which the published targets were made with.

    Parameters
    ----------
    pixels : float32 (B, 3, H, W) in [0, 1]
    side : int
    mode : {"bicubic", "bilinear"}
    squash : bool
        Bring both sides to `side` instead, whatever that does to the proportions.

    Returns
    -------
    float32 (B, 3, S, S), which bicubic overshoot may carry slightly out of [0, 1].
    """
    height, width = pixels.shape[2:]
    shorter = min(height, width)
    # The longer side is truncated, not rounded, as torchvision does.
    size = (int(side * height / shorter), int(side * width / shorter))
    if squash:
        size = (side, side)
    if (height, width) != size:
        pixels = functional.interpolate(
            pixels, size=size, mode=mode, align_corners=False, antialias=False
        )
    top, left = round((size[0] - side) / 2), round((size[1] - side) / 2)
    return pixels[:, :, top : top + side, left : left + side]


def by_norm(values: Tensor, norm: Norm) -> Tensor:
    """Divide by the norm that the space declares: (B, T, D) for `cls`, (B, ...) else."""
    if norm == "cls":
        return values / values[:, :1].norm(dim=-1, keepdim=True)
    if norm == "unit":
        return functional.normalize(values.flatten(1), dim=1).reshape(values.shape)
    return values


def on_device(
    compute: Callable[[Tensor], Tensor], device: torch.device
) -> Callable[[Pixels], Floats]:
    """Wrap a function of float32 (B, 3, H, W) pixels in [0, 1] as an encoder's `encode`."""

    def encode(images: Pixels) -> Floats:
        with torch.inference_mode():
            rows: Floats = compute(to_unit_range(images, device)).float().cpu().numpy()
        return rows

    return encode
