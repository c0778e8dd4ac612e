"""`pixels:N`: the picture itself at N x N, RGB in [0, 1], flattened row by row.

Shapes: `B` batch, `N` side.
"""

from __future__ import annotations

import re

from torch import Tensor
from torch.nn import functional

from mindeye_cli.models.encoders.base import Encoder, on_device
from mindeye_cli.models.running import pick_device
from mindeye_store.errors import UsageProblem

MAX_SIDE = 512


def side_of(space: str) -> int:
    """`N` of `pixels:N`.

    Raises
    ------
    UsageProblem
        Not a number of pixels.
    """
    found = re.fullmatch(r"pixels:(\d{1,3})", space)
    if found is None or not 1 <= int(found[1]) <= MAX_SIDE:
        raise UsageProblem(
            f"{space!r} is not pixels:N with N from 1 to {MAX_SIDE}", where="--space"
        )
    return int(found[1])


def load_pixels(space: str) -> Encoder:
    """The encoder that only resizes; pictures of N x N come through unchanged."""
    side = side_of(space)

    def compute(pixels: Tensor) -> Tensor:
        if pixels.shape[2:] != (side, side):
            pixels = functional.interpolate(
                pixels, size=(side, side), mode="bilinear", align_corners=False, antialias=True
            )
        return pixels.permute(0, 2, 3, 1).flatten(1)

    return Encoder(
        space=space,
        shape=(side * side * 3,),
        norm="raw",
        dtype="float32",
        description={"transform": f"bilinear antialias {side}, rgb 0..1, rows first"},
        encode=on_device(compute, pick_device()),
    )
