"""Pictures as float tensors, and the protocols' resizes, each a square stretch.

`mindeye`: to 256 first, then to what a metric sees, bilinear without antialias. `brain-diffuser`:
8-bit pictures straight to what a metric sees, by Pillow: 425 bicubic for pixels, 224 bilinear for
networks (Ozcelik & VanRullen's evaluation scripts).

Shapes: `B` batch, `H W` size.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from mindeye_cli.evaluate.pictures import Pictures, Pixels

# Both sets are brought here before every metric of the protocol `mindeye`.
FIRST_SIDE = 256
PIXEL_SIDE = 425
NETWORK_SIDE = 224  # of the protocol `brain-diffuser`
BATCH = 16


CPU = torch.device("cpu")


def to_tensor(pixels: Pixels, device: torch.device = CPU) -> Tensor:
    """(B, H, W, 3), 8-bit or floats in [0, 1], to float32 (B, 3, H, W) in [0, 1]."""
    values = torch.from_numpy(np.ascontiguousarray(pixels)).to(device)
    values = values.permute(0, 3, 1, 2).contiguous()
    return values.float() / 255 if pixels.dtype == np.uint8 else values.float().clamp(0, 1)


def resize(pictures: Tensor, side: int, *, antialias: bool = False) -> Tensor:
    """Stretch (B, C, H, W) to (B, C, side, side), bilinear; unchanged at that size already."""
    if pictures.shape[-2:] == (side, side):
        return pictures
    return functional.interpolate(
        pictures, (side, side), mode="bilinear", align_corners=False, antialias=antialias
    )


def stretched(pictures: Pictures, start: int, stop: int, device: torch.device = CPU) -> Tensor:
    """Entries start..stop as pixel metrics get them, float32 in [0, 1].

    (B, 3, 256, 256), still to be brought to 425; under `brain-diffuser` (B, 3, 425, 425).
    """
    if pictures.protocol == "brain-diffuser":
        grown = _by_pillow(pictures.pixels[start:stop], PIXEL_SIDE, Image.Resampling.BICUBIC)
        return to_tensor(grown, device)
    return resize(to_tensor(pictures.pixels[start:stop], device), FIRST_SIDE)


def pixel_resize(pictures: Pictures) -> dict[str, str]:
    """What a pixel metric's card says of the protocol's resize."""
    if pictures.protocol == "brain-diffuser":
        return {"resize": f"{PIXEL_SIDE} from 8-bit RGB, bicubic with antialias"}
    return {"resize": f"{FIRST_SIDE} then {PIXEL_SIDE}, bilinear, antialias off"}


def network_input(
    pictures: Pictures, start: int, stop: int, side: int, device: torch.device = CPU
) -> Tensor:
    """Entries start..stop as a network sees them before normalisation, float32 in [0, 1].

    (B, 3, side, side); under `brain-diffuser` every network is shown 224.
    """
    if pictures.protocol == "brain-diffuser":
        shown = _by_pillow(pictures.pixels[start:stop], NETWORK_SIDE, Image.Resampling.BILINEAR)
        return to_tensor(shown, device)
    return resize(stretched(pictures, start, stop, device), side)


def _by_pillow(pixels: Pixels, side: int, resample: Image.Resampling) -> NDArray[np.uint8]:
    """8-bit pictures, resized by Pillow (which antialiases) to 8-bit pictures."""
    if pixels.dtype != np.uint8:
        pixels = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    resized = [Image.fromarray(picture).resize((side, side), resample) for picture in pixels]
    return np.stack([np.asarray(picture) for picture in resized])


def batches(pictures: Pictures) -> Iterator[tuple[int, int]]:
    """(start, stop) of batches that bound the memory of full-size pictures."""
    for start in range(0, len(pictures), BATCH):
        yield start, min(start + BATCH, len(pictures))
