"""PSNR: peak signal-to-noise ratio at the stimulus' own size, in dB."""

from __future__ import annotations

import numpy as np
from torch.nn import functional

from mindeye_cli.evaluate.metrics.spec import Floats, Metric, Scores
from mindeye_cli.evaluate.pictures import Pictures
from mindeye_cli.evaluate.resize import to_tensor

# Two equal pictures have no finite ratio; this error stands for them, 100 dB.
LEAST_ERROR = 1e-10


def psnr(stimuli: Pictures, recons: Pictures, cross: bool) -> Scores:
    """-10 log10 of the mean squared error over RGB values in [0, 1]."""
    truth = stimuli.cached("psnr", lambda: _flat(stimuli, stimuli))
    guess = _flat(recons, stimuli)
    own = ((truth - guess) ** 2).mean(axis=1)
    if not cross:
        return Scores(per_entry=_decibel(own))
    squares = (truth**2).sum(axis=1)[:, None] + (guess**2).sum(axis=1)[None, :]
    errors = (squares - 2 * truth @ guess.T) / truth.shape[1]
    np.fill_diagonal(errors, own)
    return Scores(per_entry=_decibel(own), cross=_decibel(errors))


def _flat(pictures: Pictures, like: Pictures) -> Floats:
    """Entries at the size of `like`, float64 (n, H * W * 3)."""
    size = like.pixels.shape[1:3]
    values = to_tensor(pictures.pixels)
    if values.shape[-2:] != size:
        values = functional.interpolate(
            values, size, mode="bilinear", align_corners=False, antialias=True
        )
    return np.asarray(values.flatten(1).double().numpy())


def _decibel(errors: Floats) -> Floats:
    return np.asarray(-10 * np.log10(np.maximum(errors, LEAST_ERROR)))


PSNR = Metric(
    name="psnr",
    direction="higher",
    unit="dB",
    compute=psnr,
    card={
        "resize": "the stimulus' own size, bilinear with antialias",
        "formula": "mean over images of -10 log10 MSE; equal pictures count as 100 dB",
    },
)
