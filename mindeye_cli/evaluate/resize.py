"""Pictures as float tensors, and the protocol's resizes: bilinear, no antialias, a square stretch.

Shapes: `B` batch, `H W` size.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from mindeye_cli.evaluate.pictures import Pictures, Pixels

# Both sets are brought here before every metric of the published protocol.
FIRST_SIDE = 256
PIXEL_SIDE = 425
BATCH = 16


def to_tensor(pixels: Pixels) -> Tensor:
    """uint8 (B, H, W, 3) to float32 (B, 3, H, W) in [0, 1]."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().float() / 255


def resize(pictures: Tensor, side: int, *, antialias: bool = False) -> Tensor:
    """Stretch (B, C, H, W) to (B, C, side, side), bilinear; unchanged at that size already."""
    if pictures.shape[-2:] == (side, side):
        return pictures
    return functional.interpolate(
        pictures, (side, side), mode="bilinear", align_corners=False, antialias=antialias
    )


def stretched(pictures: Pictures, start: int, stop: int) -> Tensor:
    """Entries start..stop at 256 x 256, float32 (B, 3, 256, 256) in [0, 1]."""
    return resize(to_tensor(pictures.pixels[start:stop]), FIRST_SIDE)


def batches(pictures: Pictures) -> Iterator[tuple[int, int]]:
    """(start, stop) of batches that bound the memory of full-size pictures."""
    for start in range(0, len(pictures), BATCH):
        yield start, min(start + BATCH, len(pictures))
