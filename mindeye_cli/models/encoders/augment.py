"""Augmented pictures, one draw for each (seed, view, image id).

What may happen to a picture, before the encoder's transform, is a policy (`policies.py`). A
picture's draw depends on nothing but its key, so shards, resumed work and images that are added
later give the same rows.

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
from torch.nn import functional as F

from mindeye_cli.core.sampler import rng
from mindeye_cli.models.encoders.base import Encoder, Floats, to_unit_range
from mindeye_cli.models.encoders.policies import PUBLISHED, Augmentation, TeacherAugmentation
from mindeye_store import view_space

_CROP_TRIES = 10


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
    solarize : (shift, threshold) or None
        The shift is added, then values from the threshold on are inverted.
    blur : (width, sigma) or None
        Of a Gaussian kernel, in pixels.
    crop_last : bool
        Whether the crop comes after everything else; it comes first otherwise.
    """

    crop: tuple[int, int, int, int] | None
    flip: bool
    jitter: tuple[tuple[str, float], ...]
    grey: bool
    solarize: tuple[float, float] | None = None
    blur: tuple[int, float] | None = None
    crop_last: bool = False


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
    draw = Draw(
        crop=box if chances[0] < settings.crop else None,
        flip=bool(chances[1] < settings.flip),
        jitter=tuple(factors[i] for i in order) if chances[2] < settings.jitter else (),
        grey=bool(chances[3] < settings.grey),
    )
    return _draw_rest(random, draw, settings) if isinstance(settings, TeacherAugmentation) else draw


def _draw_rest(random: np.random.Generator, draw: Draw, settings: TeacherAugmentation) -> Draw:
    """Add what the teacher's policy alone has."""
    chances = random.uniform(size=2)
    shift, threshold = random.uniform(-1, 1, 2) * (settings.solarize_shift, settings.solarize_reach)
    sigma = random.uniform(*settings.blur_sigma)
    return replace(
        draw,
        solarize=(float(shift), 0.5 + float(threshold)) if chances[0] < settings.solarize else None,
        blur=(settings.blur_width, float(sigma)) if chances[1] < settings.blur else None,
        crop_last=True,
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

    def crop(picture: Tensor) -> Tensor:
        if draw.crop is None:
            return picture
        # torchvision's default for tensors: bilinear with antialiasing, which cannot overshoot.
        cropped: Tensor = functional.resized_crop(picture, *draw.crop, size, antialias=True)
        return cropped

    pixels = pixels if draw.crop_last else crop(pixels)
    if draw.flip:
        pixels = functional.hflip(pixels)
    for name, factor in draw.jitter:
        pixels = getattr(functional, f"adjust_{name}")(pixels, factor)
    if draw.grey:
        pixels = functional.rgb_to_grayscale(pixels, num_output_channels=3)
    if draw.solarize is not None:
        shift, threshold = draw.solarize
        pixels = functional.solarize((pixels + shift).clamp(0, 1), threshold)
    if draw.blur is not None:
        width, sigma = draw.blur
        pixels = functional.gaussian_blur(pixels, [width, width], [sigma, sigma])
    pixels = crop(pixels) if draw.crop_last else pixels
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
        Of the policy's side where it has one.
    """
    pictures = to_unit_range(images, torch.device("cpu"))
    if isinstance(settings, TeacherAugmentation):
        side = (settings.side, settings.side)
        pictures = F.interpolate(
            pictures, size=side, mode="bilinear", align_corners=False, antialias=True
        )
    height, width = pictures.shape[2:]
    parts = [
        apply_draw(
            pixels, draw_augmentation(rng(seed, "augment", view, name), height, width, settings)
        )
        for pixels, name in zip(pictures, ids, strict=True)
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
