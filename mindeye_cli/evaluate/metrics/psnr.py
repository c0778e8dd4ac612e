"""PSNR: peak signal-to-noise ratio at the stimulus' own size, in dB."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mindeye_cli.evaluate.metrics.spec import Floats, Metric, Scores
from mindeye_cli.evaluate.pictures import Pictures
from mindeye_cli.evaluate.resize import BATCH, to_tensor

# Two equal pictures have no finite ratio; this error stands for them, 100 dB.
LEAST_ERROR = 1e-10
BLOCK = 2**22  # values in float64 at once


def psnr(stimuli: Pictures, recons: Pictures, cross: bool) -> Scores:
    """-10 log10 of the mean squared error over RGB values in [0, 1]."""
    n = len(stimuli)
    own = np.empty(n)
    for start in range(0, n, BATCH):
        rows = slice(start, start + BATCH)
        truth, guess = stimuli.pixels[rows], recons.pixels[rows]
        shape = truth.shape[1:3]
        gap = to_tensor(truth).double() - _sized(to_tensor(guess), shape).double()
        own[rows] = gap.square().mean(dim=(1, 2, 3)).numpy()
    table = _all_pairs(stimuli, recons, own) if cross else None
    return Scores(per_entry=_decibel(own), cross=None if table is None else _decibel(table))


def _all_pairs(stimuli: Pictures, recons: Pictures, own: Floats) -> Floats:
    """Mean squared errors of all pairs, (n, n); a band of picture lines at a time."""
    n, (height, width) = len(stimuli), stimuli.pixels.shape[1:3]
    guesses = recons.pixels
    if guesses.shape[1:3] != (height, width):
        parts = [guesses[start : start + BATCH] for start in range(0, n, BATCH)]
        sized = [_sized(to_tensor(part), (height, width)).permute(0, 2, 3, 1) for part in parts]
        guesses = torch.cat(sized).numpy()
    errors = np.zeros((n, n))
    lines = max(1, BLOCK // (n * width * 3))
    for top in range(0, height, lines):
        one, two = (
            to_tensor(pixels[:, top : top + lines]).flatten(1).double().numpy()
            for pixels in (stimuli.pixels, guesses)
        )
        errors += (one**2).sum(axis=1)[:, None] + (two**2).sum(axis=1)[None, :]
        errors -= 2 * one @ two.T
    errors /= height * width * 3
    np.fill_diagonal(errors, own)
    return errors


def _sized(pictures: Tensor, size: tuple[int, ...]) -> Tensor:
    """(B, 3, H, W) at the stimuli's size."""
    if pictures.shape[-2:] == size:
        return pictures
    return functional.interpolate(
        pictures, size, mode="bilinear", align_corners=False, antialias=True
    )


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
