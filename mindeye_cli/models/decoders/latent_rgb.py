"""Pictures of latents by a linear map from their channels to RGB: no VAE, no generator.

One affine map for all positions, fitted by least squares on training images brought to the latent's
resolution by averaging.

Shapes: `N` images, `B` batch, `C h w` a latent, `H W` a picture.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from mindeye_cli.models.decoders.base import Floats, Pixels
from mindeye_store.errors import InvalidInput


class LatentRgb:
    """An affine map from `C` latent channels to RGB.

    Parameters
    ----------
    coefficients : float64 array (C + 1, 3)
        The last row is the constant.
    size : (int, int)
        Height and width of the pictures that it gives.
    """

    def __init__(self, coefficients: NDArray[np.float64], size: tuple[int, int]) -> None:
        self.coefficients = coefficients
        self.size = size

    def small(self, latents: Floats) -> Floats:
        """Return colours at the latent's own resolution, (B, C, h, w) to (B, h, w, 3)."""
        channels = len(self.coefficients) - 1
        if latents.ndim != 4 or latents.shape[1] != channels:
            raise InvalidInput(
                f"the linear map takes (B, {channels}, h, w) latents, got {latents.shape}",
                where="latents",
            )
        rows = np.moveaxis(np.asarray(latents, np.float64), 1, -1)
        return (rows @ self.coefficients[:-1] + self.coefficients[-1]).astype(np.float32)

    def decode(self, latents: Floats) -> Floats:
        """Return the latents' pictures, (B, C, h, w) to (B, H, W, 3) in [0, 1]."""
        colours = torch.from_numpy(self.small(latents)).permute(0, 3, 1, 2)
        large = functional.interpolate(
            colours, size=self.size, mode="bilinear", align_corners=False, antialias=True
        )
        return np.asarray(large.clamp(0, 1).permute(0, 2, 3, 1).contiguous().numpy(), np.float32)


def averaged(pictures: Pixels, height: int, width: int) -> Floats:
    """Average pictures over the area of a latent's positions.

    Parameters
    ----------
    pictures : uint8 array (N, H, W, 3)
    height, width : int
        The latent's.

    Returns
    -------
    float32 array (N, h, w, 3) in [0, 1]
    """
    pixels = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2) / 255.0
    small = functional.adaptive_avg_pool2d(pixels, (height, width))
    return np.asarray(small.permute(0, 2, 3, 1).contiguous().numpy(), np.float32)


def fit_latent_rgb(batches: Iterable[tuple[Floats, Pixels]]) -> LatentRgb:
    """Fit the map by least squares.

    Parameters
    ----------
    batches : iterable of (latents (n, C, h, w), pictures uint8 (n, H, W, 3))
        Training images alone.

    Raises
    ------
    InvalidInput
        There are fewer positions than coefficients, or values that are not finite.
    """
    gram, moment = np.zeros((1, 1)), np.zeros((1, 3))
    channels, positions, size = 0, 0, (0, 0)
    for latents, pictures in batches:
        channels, size = latents.shape[1], (pictures.shape[1], pictures.shape[2])
        rows = np.moveaxis(np.asarray(latents, np.float64), 1, -1).reshape(-1, channels)
        design = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
        colours = averaged(pictures, *latents.shape[2:]).reshape(-1, 3)
        gram = gram + design.T @ design
        moment = moment + design.T @ colours
        positions += len(rows)
    if positions <= channels or not np.isfinite(gram).all():
        raise InvalidInput(
            f"a linear map from latents to colours cannot be fitted to {positions} positions",
            where="training latents",
            fix="it needs training images with finite latents",
        )
    # The least-norm solution, should a channel be constant.
    solution = np.linalg.lstsq(gram, moment, rcond=None)[0]
    return LatentRgb(np.asarray(solution, np.float64), size)
