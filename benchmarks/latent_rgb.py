"""How much of a picture a linear map from its latent's channels to RGB explains.

    python benchmarks/latent_rgb.py

The map is fitted on some scenes and looked at on others, from their true `scene-vae` latents; the
VAE was trained on neither. R2 is over all positions and colours, against the held-out scenes' mean
colour. Demanded: .8 at both resolutions.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from mindeye_cli.core.scenes import render, sample_scene
from mindeye_cli.models.decoders.base import Floats, Pixels
from mindeye_cli.models.decoders.latent_rgb import averaged, fit_latent_rgb
from mindeye_cli.models.encoders import load_encoder


def explained(predicted: Floats, true: Floats) -> float:
    """R2 of arrays (N, H, W, 3)."""
    spread = np.square(true - true.mean(axis=(0, 1, 2), dtype=np.float64)).sum()
    return float(1 - np.square(predicted - true, dtype=np.float64).sum() / spread)


def enlarged(small: Floats, size: tuple[int, int]) -> Floats:
    """Colours at the latent's resolution as a picture: the best that any such map could do."""
    pixels = torch.from_numpy(small).permute(0, 3, 1, 2)
    large = functional.interpolate(pixels, size=size, mode="bilinear", align_corners=False)
    return np.asarray(large.permute(0, 2, 3, 1), np.float32)


def scenes(first: int, count: int) -> tuple[Floats, Pixels]:
    """True latents and pictures of some scenes."""
    pictures: NDArray[np.uint8] = np.stack(
        [render(sample_scene(seed)) for seed in range(first, first + count)]
    )
    return load_encoder("scene-vae").encode(pictures), pictures


def main() -> None:
    """Print one line for each number of scenes that the map is fitted on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fitted", type=int, nargs="+", default=[20, 100, 300])
    parser.add_argument("--held-out", type=int, default=100)
    options = parser.parse_args()
    latents, pictures = scenes(0, max(options.fitted))
    held_latents, held = scenes(max(options.fitted), options.held_out)
    true = (held / 255.0).astype(np.float32)
    size = (int(latents.shape[2]), int(latents.shape[3]))
    small = averaged(held, *size)
    print(f"R2 on {options.held_out} scenes that no map was fitted on")
    whole_size = (int(held.shape[1]), int(held.shape[2]))
    heads = (f"latent, {size[0]}x{size[1]}", f"pixels, {whole_size[0]}x{whole_size[1]}")
    print(f"{'fitted on':>10}  {heads[0]:>14}  {heads[1]:>14}")
    for count in options.fitted:
        fitted = fit_latent_rgb([(latents[:count], pictures[:count])])
        low = explained(fitted.small(held_latents), small)
        whole = explained(fitted.decode(held_latents), true)
        print(f"{count:>10}  {low:>14.3f}  {whole:>14.3f}")
    bound = explained(enlarged(small, whole_size), true)
    print(f"{'true':>10}  {1.0:>14.3f}  {bound:>14.3f}   true colours at the latent's resolution")


if __name__ == "__main__":
    main()
