"""Augmented pictures, one draw for each (seed, view, image id).

The published augmentation of MindEye's pictures (its released training code): random resized crop,
horizontal flip, colour jitter and greyscale, each with its own chance, on the picture in [0, 1]
before the encoder's transform. A picture's draw depends on nothing but its key, so shards, resumed
work and images that are added later give the same rows.

Shapes: `B` batch, `H W` picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindeye_cli.core.sampler import rng
from mindeye_cli.models.encoders.base import Encoder, Floats, to_unit_range
from mindeye_store import view_space

_CROP_TRIES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """Chances and ranges; the defaults are the published ones.

    Attributes
    ----------
    crop, flip, jitter, grey : float
        Chance of each step, in this order.
    crop_area, crop_ratio : (float, float)
        Range of the crop's share of the picture, and of its width over its height, the latter
        uniform in its logarithm. The crop is brought back to the picture's size.
    brightness, contrast, saturation : float
        The factor is uniform in 1 +- this.
    hue : float
        The shift is uniform in +- this share of a turn.
    """

    crop: float = 0.3
    crop_area: tuple[float, float] = (0.6, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    jitter: float = 0.3
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.2
    hue: float = 0.1
    grey: float = 0.3


PUBLISHED = Augmentation()


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What is done to one picture; None or an empty tuple where nothing is.

    Attributes
    ----------
    crop : (top, left, height, width) or None
        In pixels.
    flip, grey : bool
    jitter : tuple of (str, float)
        Steps of the colour jitter in their order: name of the property and its factor.
    """

    crop: tuple[int, int, int, int] | None
    flip: bool
    jitter: tuple[tuple[str, float], ...]
    grey: bool


def draw_augmentation(
    random: np.random.Generator, height: int, width: int, settings: Augmentation = PUBLISHED
) -> Draw:
    """Draw what is done to a picture of `height` x `width` pixels."""
    chances = random.uniform(size=4)
    box = _crop_box(random, height, width, settings)
    ranges = {
        "brightness": (1 - settings.brightness, 1 + settings.brightness),
        "contrast": (1 - settings.contrast, 1 + settings.contrast),
        "saturation": (1 - settings.saturation, 1 + settings.saturation),
        "hue": (-settings.hue, settings.hue),
    }
    factors = [(name, float(random.uniform(*ends))) for name, ends in ranges.items()]
    order = random.permutation(len(factors))
    return Draw(
        crop=box if chances[0] < settings.crop else None,
        flip=bool(chances[1] < settings.flip),
        jitter=tuple(factors[i] for i in order) if chances[2] < settings.jitter else (),
        grey=bool(chances[3] < settings.grey),
    )


def _crop_box(
    random: np.random.Generator, height: int, width: int, settings: Augmentation
) -> tuple[int, int, int, int]:
    """A box of random area and proportions inside the picture; the whole picture if none fits."""
    least, most = (math.log(end) for end in settings.crop_ratio)
    for _ in range(_CROP_TRIES):
        area = height * width * random.uniform(*settings.crop_area)
        ratio = math.exp(random.uniform(least, most))
        wide, high = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide <= width and 0 < high <= height:
            top, left = random.integers(height - high + 1), random.integers(width - wide + 1)
            return int(top), int(left), high, wide
    return 0, 0, height, width


def apply_draw(pixels: Tensor, draw: Draw) -> Tensor:
    """Alter a picture, float32 (3, H, W) in [0, 1]; the result has the same shape and range."""
    from torchvision.transforms import functional

    size = list(pixels.shape[1:])
    if draw.crop is not None:
        # torchvision's default for tensors: bilinear with antialiasing, which cannot overshoot.
        pixels = functional.resized_crop(pixels, *draw.crop, size, antialias=True)
    if draw.flip:
        pixels = functional.hflip(pixels)
    for name, factor in draw.jitter:
        pixels = getattr(functional, f"adjust_{name}")(pixels, factor)
    if draw.grey:
        pixels = functional.rgb_to_grayscale(pixels, num_output_channels=3)
    return pixels.clamp(0, 1)


def augmented(
    images: NDArray[np.uint8],
    ids: Sequence[str],
    view: int,
    seed: int,
    settings: Augmentation = PUBLISHED,
) -> Floats:
    """One view of some pictures.

    Parameters
    ----------
    images : uint8 array (B, H, W, 3)
    ids : sequence of str
        Names of the images, which key their draws.
    view, seed : int
    settings : Augmentation

    Returns
    -------
    float32 array (B, H, W, 3) in [0, 1]
    """
    height, width = images.shape[1:3]
    parts = [
        apply_draw(
            pixels, draw_augmentation(rng(seed, "augment", view, name), height, width, settings)
        )
        for pixels, name in zip(to_unit_range(images, torch.device("cpu")), ids, strict=True)
    ]
    return np.ascontiguousarray(torch.stack(parts).permute(0, 2, 3, 1).numpy())


def view_encoder(
    encoder: Encoder, view: int, seed: int, settings: Augmentation = PUBLISHED
) -> Encoder:
    """Declare one view of a space: the same encoder on pictures altered by `augmented`."""
    return replace(
        encoder,
        space=view_space(encoder.space, view),
        description={
            **encoder.description,
            "view": {
                "of": encoder.fingerprint,
                "view": view,
                "seed": seed,
                "augmentation": asdict(settings),
            },
        },
    )
