"""PixCorr: Pearson correlation over the 541,875 RGB values of pictures at 425 x 425.

Ozcelik & VanRullen 2023; Scotti et al. 2023, as their published code computes it.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindeye_cli.evaluate.metrics.spec import Floats, Metric, Scores
from mindeye_cli.evaluate.pictures import Pictures
from mindeye_cli.evaluate.resize import PIXEL_SIDE, batches, pixel_resize, resize, stretched

CHANNELS = 3
# Below it a picture is constant but for rounding, and its correlation is undefined.
LEAST_VARIANCE = 1e-12


def pixcorr(stimuli: Pictures, recons: Pictures, cross: bool) -> Scores:
    """Pixel correlation of each reconstruction with its stimulus."""
    own = np.array(
        [
            _pair(x, y)
            for part in batches(stimuli)
            for x, y in zip(_large(stimuli, *part), _large(recons, *part), strict=True)
        ]
    )
    return Scores(per_entry=own, cross=_cross(stimuli, recons, own) if cross else None)


def _large(pictures: Pictures, start: int, stop: int) -> Tensor:
    """Entries at 425, float32 (B, 3, 425, 425), each less its own mean.

    Interpolation keeps a constant, so subtracting the mean first changes no correlation and keeps
    float32 products accurate.
    """
    base = stretched(pictures, start, stop)
    return resize(base - base.mean(dim=(1, 2, 3), keepdim=True), PIXEL_SIDE)


def _pair(x: Tensor, y: Tensor) -> float:
    """Pearson r of two pictures (3, 425, 425); NaN where one is constant."""
    x, y = x - x.mean(dtype=torch.float64).float(), y - y.mean(dtype=torch.float64).float()
    xx, yy, xy = (values.mean(dtype=torch.float64).item() for values in (x * x, y * y, x * y))
    return xy / math.sqrt(xx * yy) if min(xx, yy) > LEAST_VARIANCE else math.nan


def _cross(stimuli: Pictures, recons: Pictures, own: Floats) -> Floats:
    """Correlations of all pairs; one colour channel at a time bounds the memory."""
    n, size = len(stimuli), CHANNELS * PIXEL_SIDE**2
    products = np.zeros((n, n))
    sums, squares = np.zeros((2, n)), np.zeros((2, n))
    for channel in range(CHANNELS):
        sides = [_channel(stimuli, channel), _channel(recons, channel)]
        for k, values in enumerate(sides):
            sums[k] += values.sum(axis=1, dtype=np.float64)
            squares[k] += np.einsum("np,np->n", values, values, dtype=np.float64)
        products += sides[0] @ sides[1].T
    variance = squares / size - (sums / size) ** 2
    variance[variance < LEAST_VARIANCE] = np.nan
    covariance = products / size - np.outer(sums[0], sums[1]) / size**2
    result = covariance / np.sqrt(np.outer(variance[0], variance[1]))
    np.fill_diagonal(result, own)
    return np.asarray(result)


def _channel(pictures: Pictures, channel: int) -> NDArray[np.float32]:
    """One channel of every entry, float32 (n, 425 * 425), less the picture's own mean."""
    values = np.empty((len(pictures), PIXEL_SIDE**2), dtype=np.float32)
    for start, stop in batches(pictures):
        base = stretched(pictures, start, stop)
        centred = base[:, channel : channel + 1] - base.mean(dim=(1, 2, 3), keepdim=True)
        values[start:stop] = resize(centred, PIXEL_SIDE).flatten(1).numpy()
    return values


PIXCORR = Metric(
    name="pixcorr",
    direction="higher",
    unit="Pearson r",
    compute=pixcorr,
    chance=0.0,
    facts=pixel_resize,
    card={
        "formula": "mean over images of Pearson r over RGB values",
        "source": "Scotti et al. 2023; Ozcelik & VanRullen 2023",
    },
)
