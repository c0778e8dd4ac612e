"""PixCorr: Pearson correlation over the 541,875 RGB values of pictures at 425 x 425.

Ozcelik & VanRullen 2023; Scotti et al. 2023, as their published code computes it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mindeye_cli.evaluate.metrics.correlation import pearson_rows
from mindeye_cli.evaluate.metrics.spec import Floats, Metric, Scores
from mindeye_cli.evaluate.pictures import Pictures
from mindeye_cli.evaluate.resize import PIXEL_SIDE, batches, resize, stretched

CHANNELS = 3


def pixcorr(stimuli: Pictures, recons: Pictures, cross: bool) -> Scores:
    """Pixel correlation of each reconstruction with its stimulus."""
    parts = [
        pearson_rows(
            resize(stretched(stimuli, *part), PIXEL_SIDE).numpy(),
            resize(stretched(recons, *part), PIXEL_SIDE).numpy(),
        )
        for part in batches(stimuli)
    ]
    own = np.concatenate(parts)
    return Scores(per_entry=own, cross=_cross(stimuli, recons, own) if cross else None)


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
    variance[variance < 1e-12] = np.nan  # A constant picture has no correlation.
    covariance = products / size - np.outer(sums[0], sums[1]) / size**2
    result = covariance / np.sqrt(np.outer(variance[0], variance[1]))
    np.fill_diagonal(result, own)
    return np.asarray(result)


def _channel(pictures: Pictures, channel: int) -> NDArray[np.float32]:
    """One channel of every entry at 425, float32 (n, 425 * 425), less the picture's own mean.

    Interpolation keeps a constant, so subtracting the mean first changes no correlation and keeps
    float32 products accurate.
    """
    values = np.empty((len(pictures), PIXEL_SIDE**2), dtype=np.float32)
    for start, stop in batches(pictures):
        base: Tensor = stretched(pictures, start, stop)
        centred = base[:, channel : channel + 1] - base.mean(dim=(1, 2, 3), keepdim=True)
        values[start:stop] = resize(centred, PIXEL_SIDE).flatten(1).numpy()
    return values


PIXCORR = Metric(
    name="pixcorr",
    direction="higher",
    unit="Pearson r",
    compute=pixcorr,
    chance=0.0,
    card={
        "resize": "256 then 425, bilinear, antialias off",
        "formula": "mean over images of Pearson r over RGB values",
        "source": "Scotti et al. 2023; Ozcelik & VanRullen 2023",
    },
)
