"""Likeness of simple statistics: grey values that go together, colours, and edges.

Each sees pictures at its own size whatever the protocol, since none of them is published.

Shapes: `n` entries, `P` pixels, `K` bins.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from mindeye_cli.evaluate.metrics.correlation import Floats, pearson_matrix, pearson_rows
from mindeye_cli.evaluate.metrics.spec import Metric, Scores
from mindeye_cli.evaluate.metrics.ssim import GREY
from mindeye_cli.evaluate.pictures import Pictures
from mindeye_cli.evaluate.resize import BATCH, resize, to_tensor

GREY_SIDE, GREY_BINS = 64, 16
COLOUR_SIDE, COLOUR_BINS = 64, 8
EDGE_SIDE = 128
BLOCK = 32  # stimuli whose pairs are counted at once


def mutual_information(stimuli: Pictures, recons: Pictures, cross: bool) -> Scores:
    """(H(X) + H(Y)) / H(X, Y) of grey values, from 1 (independent) to 2 (Studholme et al. 1999)."""
    one, two = (_grey_bins(pictures) for pictures in (stimuli, recons))
    if not cross:
        pairs = [_shared(a[None], b[None])[0, 0] for a, b in zip(one, two, strict=True)]
        return Scores(per_entry=np.array(pairs))
    table = np.concatenate([_shared(part, two) for part in one.split(BLOCK)])
    return Scores(per_entry=np.diagonal(table).copy(), cross=table)


def colours(stimuli: Pictures, recons: Pictures, cross: bool) -> Scores:
    """Pearson r of RGB histograms."""
    return _correlated(stimuli, recons, cross, "colours", _colour_counts)


def edges(stimuli: Pictures, recons: Pictures, cross: bool) -> Scores:
    """Pearson r of Sobel magnitudes of the grey picture."""
    return _correlated(stimuli, recons, cross, "edges", _sobel)


def _small(pictures: Pictures, side: int) -> list[Tensor]:
    """Batches of float32 (B, 3, side, side) in [0, 1]."""
    return [
        resize(to_tensor(pictures.pixels[start : start + BATCH]), side, antialias=True).clamp(0, 1)
        for start in range(0, len(pictures), BATCH)
    ]


def _grey(pictures: Pictures, side: int) -> list[Tensor]:
    return [torch.einsum("bchw,c->bhw", b, torch.tensor(GREY)) for b in _small(pictures, side)]


def _grey_bins(pictures: Pictures) -> Tensor:
    """The bin of every grey value, int64 (n, P)."""

    def compute() -> Tensor:
        grey = torch.cat(_grey(pictures, GREY_SIDE)).flatten(1)
        return (grey * GREY_BINS).long().clamp(0, GREY_BINS - 1)

    return pictures.cached("grey bins", compute)


def _shared(one: Tensor, two: Tensor) -> Floats:
    """Normalised mutual information of all pairs of (a, P) and (b, P) bins, float64 (a, b)."""
    sides = [functional.one_hot(bins, GREY_BINS).movedim(2, 1).float() for bins in (one, two)]
    flat = [side.reshape(-1, side.shape[2]) for side in sides]
    joint = (flat[0] @ flat[1].T).double() / one.shape[1]
    joint = joint.reshape(len(one), GREY_BINS, len(two), GREY_BINS)
    own = [torch.special.entr(side.double().mean(dim=2)).sum(dim=1) for side in sides]
    together = torch.special.entr(joint).sum(dim=(1, 3))
    ratio = (own[0][:, None] + own[1][None, :]) / together
    ratio[together == 0] = torch.nan  # two constant pictures share nothing that could be counted
    return np.asarray(ratio.numpy())


def _colour_counts(pictures: Pictures) -> NDArray[np.float32]:
    """Counts of RGB values in 8 x 8 x 8 bins, float32 (n, 512)."""
    rows = []
    for batch in _small(pictures, COLOUR_SIDE):
        bins = (batch * COLOUR_BINS).long().clamp(0, COLOUR_BINS - 1)
        place = (bins[:, 0] * COLOUR_BINS + bins[:, 1]) * COLOUR_BINS + bins[:, 2]
        rows += [torch.bincount(p.flatten(), minlength=COLOUR_BINS**3) for p in place]
    return np.asarray(torch.stack(rows).float().numpy())


def _sobel(pictures: Pictures) -> NDArray[np.float32]:
    """Sobel magnitudes, float32 (n, P)."""
    rows = []
    for grey in (g for batch in _grey(pictures, EDGE_SIDE) for g in batch.numpy()):
        across, along = (ndimage.sobel(grey, axis=axis, mode="nearest") for axis in (0, 1))
        rows.append(np.hypot(across, along).ravel())
    return np.stack(rows).astype(np.float32)


def _correlated(
    stimuli: Pictures,
    recons: Pictures,
    cross: bool,
    name: str,
    compute: Callable[[Pictures], NDArray[np.float32]],
) -> Scores:
    one, two = (p.cached(name, lambda p=p: compute(p)) for p in (stimuli, recons))  # type: ignore[misc]
    if not cross:
        return Scores(per_entry=pearson_rows(one, two))
    table = pearson_matrix(one, two)
    return Scores(per_entry=np.diagonal(table).copy(), cross=table)


NMI = Metric(
    name="nmi",
    direction="higher",
    unit="NMI",
    compute=mutual_information,
    chance=1.0,
    card={
        "resize": f"{GREY_SIDE}, bilinear with antialias, then grey",
        "formula": f"(H(X) + H(Y)) / H(X, Y) of {GREY_BINS} equal bins, 1 to 2, mean",
        "source": "Studholme et al. 1999",
    },
)
COLOURS = Metric(
    name="colours",
    direction="higher",
    unit="Pearson r",
    compute=colours,
    card={
        "resize": f"{COLOUR_SIDE}, bilinear with antialias",
        "formula": f"Pearson r of RGB histograms of {COLOUR_BINS}^3 equal bins, mean",
    },
)
EDGES = Metric(
    name="edges",
    direction="higher",
    unit="Pearson r",
    compute=edges,
    chance=0.0,
    card={
        "resize": f"{EDGE_SIDE}, bilinear with antialias, then grey",
        "formula": "Pearson r of Sobel gradient magnitudes, mean",
    },
)
