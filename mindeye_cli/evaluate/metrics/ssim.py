"""SSIM of grey pictures at 425 x 425 with a Gaussian window (Wang et al. 2004).

The numbers are those of scikit-image's `structural_similarity(gaussian_weights=True, sigma=1.5,
use_sample_covariance=False, data_range=1.0)`: an 11 x 11 window, population covariance, the mean
over the windows that lie wholly inside the picture.

Shapes: `n` entries, `P` pixels of a window, `K` windows.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mindeye_cli.evaluate.metrics.spec import Floats, Metric, Scores
from mindeye_cli.evaluate.pictures import Pictures
from mindeye_cli.evaluate.resize import PIXEL_SIDE, batches, resize, stretched

SIGMA = 1.5
RADIUS = 5  # scikit-image truncates the Gaussian at 3.5 sigma
WINDOW = 2 * RADIUS + 1
C1, C2 = 0.01**2, 0.03**2
GREY = (0.2125, 0.7154, 0.0721)  # skimage.color.rgb2gray
# Variances are computed about this grey: they do not change, and float32 keeps their digits.
ORIGIN = 0.5
# All pairs are compared on every fifth window in each direction (83 x 83 of 415 x 415), since
# 1,000 permuted pairings of n pictures need n x n scores; the true pairs use every window.
STEP = 5
PAIR_ELEMENTS = 4_000_000


def ssim(stimuli: Pictures, recons: Pictures, cross: bool) -> Scores:
    """Structural similarity of each reconstruction with its stimulus."""
    parts = [_pairs(_grey(stimuli, *part), _grey(recons, *part)) for part in batches(stimuli)]
    own: Floats = torch.cat(parts).double().numpy()
    return Scores(per_entry=own, cross=_cross(stimuli, recons, own) if cross else None)


def _grey(pictures: Pictures, start: int, stop: int) -> Tensor:
    """float32 (B, 1, 425, 425), about `ORIGIN`."""
    colour = resize(stretched(pictures, start, stop), PIXEL_SIDE)
    return torch.einsum("bchw,c->bhw", colour, torch.tensor(GREY))[:, None] - ORIGIN


def _gaussian() -> Tensor:
    """The window's weights along one axis, float32 (11,), sum 1."""
    steps = torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (steps / SIGMA) ** 2)
    return (weights / weights.sum()).float()


def _pairs(x: Tensor, y: Tensor) -> Tensor:
    """SSIM of x[b] with y[b]; float32 (B, 1, 425, 425) to (B,)."""
    maps = torch.cat([x, y, x * x, y * y, x * y])
    weights = _gaussian()
    maps = functional.conv2d(maps, weights.reshape(1, 1, WINDOW, 1))
    maps = functional.conv2d(maps, weights.reshape(1, 1, 1, WINDOW))
    ux, uy, uxx, uyy, uxy = maps.chunk(5)
    return _formula(ux, uy, uxx, uyy, uxy).double().mean(dim=(1, 2, 3))


def _formula(ux: Tensor, uy: Tensor, uxx: Tensor, uyy: Tensor, uxy: Tensor) -> Tensor:
    """SSIM of windows from first and second moments about `ORIGIN`."""
    spread = (uxx - ux * ux) + (uyy - uy * uy)
    shared = uxy - ux * uy
    mx, my = ux + ORIGIN, uy + ORIGIN
    light = (2 * mx * my + C1) / (mx * mx + my * my + C1)
    return light * ((2 * shared + C2) / (spread + C2))


def _cross(stimuli: Pictures, recons: Pictures, own: Floats) -> Floats:
    """SSIM of all pairs on the lattice of windows, float64 (n, n), true pairs from all windows."""
    n = len(stimuli)
    total = torch.zeros(n, n, dtype=torch.float64)
    weights = torch.outer(_gaussian(), _gaussian()).reshape(-1)
    x, y = _whole(stimuli), _whole(recons)
    lattice = range(0, PIXEL_SIDE - WINDOW + 1, STEP)
    rows_at_once = max(1, PAIR_ELEMENTS // (n * n * len(lattice)))
    starts = list(lattice)
    for first in range(0, len(starts), rows_at_once):
        chunk = starts[first : first + rows_at_once]
        px, py = (torch.cat([_windows(side, top) for top in chunk]) for side in (x, y))
        ux, uy = px @ weights, py @ weights
        uxx, uyy = (px * px) @ weights, (py * py) @ weights
        uxy = torch.bmm(px * weights, py.transpose(1, 2))
        maps = _formula(ux[:, :, None], uy[:, None], uxx[:, :, None], uyy[:, None], uxy)
        total += maps.sum(dim=0).double()
    result: Floats = (total / len(starts) ** 2).numpy()
    np.fill_diagonal(result, own)
    return result


def _whole(pictures: Pictures) -> Tensor:
    """Every entry, float32 (n, 425, 425)."""
    return torch.cat([_grey(pictures, *part)[:, 0] for part in batches(pictures)])


def _windows(pictures: Tensor, top: int) -> Tensor:
    """The lattice's windows of one row, (n, 425, 425) to (K, n, P)."""
    band = pictures[:, top : top + WINDOW]
    return band.unfold(2, WINDOW, STEP).permute(2, 0, 1, 3).flatten(2)


SSIM = Metric(
    name="ssim",
    direction="higher",
    unit="SSIM",
    compute=ssim,
    card={
        "resize": "256 then 425, bilinear, antialias off; then grey (.2125, .7154, .0721)",
        "formula": "Gaussian window sigma 1.5, 11 x 11, population covariance, data range 1",
        "permuted": "pairs other than the true ones on every fifth window in each direction",
        "source": "Wang et al. 2004; Scotti et al. 2023",
    },
)
