"""Random choices of a step, each a pure function of (seed, epoch or step, position in the batch).

Every draw is made for the whole batch, whatever part of it a process computes.

Shapes: `B` batch, `R` most repeats of an image, `V` voxels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindeye_cli.core.sampler import epoch_order, rng, torch_generator
from mindeye_cli.train.config import DataConfig, Repeats
from mindeye_cli.train.data import ResponseSet

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]
# Published low-level mixture: one draw a batch picks random weights, the mean, or one repetition
# per sample with what is left (MindEye 2023, code of the low-level pipeline).
CONVEX_SHARE, MEAN_SHARE = 0.5, 0.3


def epoch_batches(n: int, batch: int, seed: int, epoch: int) -> list[Rows]:
    """Split one epoch's order into batches of nearly equal size, none larger than `batch`.

    A short last batch would give the contrastive losses few negatives, so the remainder is spread.

    Parameters
    ----------
    n : int
        Number of items; each appears once.
    batch : int
    seed, epoch : int

    Returns
    -------
    list of int64 arrays
    """
    return list(np.array_split(epoch_order(n, seed, epoch), steps_per_epoch(n, batch)))


def steps_per_epoch(n: int, batch: int) -> int:
    """Number of batches in an epoch of `n` items."""
    return -(-n // batch)


def repeat_weights(
    policy: Repeats, items: Rows, counts: Rows, width: int, *, seed: int, epoch: int, step: int
) -> Floats:
    """Weight of every repetition of every item of a batch.

    Parameters
    ----------
    policy : {"one", "mean", "random-convex"}
    items : int64 array (B,)
        The images' positions in the training set.
    counts : int64 array (B,)
        Their numbers of repeats, 1 to `width`.
    width : int
        R, the columns of the result.
    seed, epoch, step : int

    Returns
    -------
    float32 array (B, R)
        Rows sum to 1; columns past an item's repeats are 0.
    """
    present = np.arange(width)[None] < counts[:, None]
    if policy == "random-convex":
        draw = rng(seed, "repeats", step)
        kind = draw.random()
        weights = draw.random((len(items), width)) * present
        if kind < CONVEX_SHARE:
            return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)
        if kind >= CONVEX_SHARE + MEAN_SHARE:
            return _one_hot(weights.argmax(axis=1), width)
    elif policy == "one":
        first = rng(seed, "repeats").integers(0, 2**31, size=int(items.max()) + 1)
        return _one_hot((first[items] + epoch) % counts, width)
    return np.asarray(present / counts[:, None], dtype=np.float32)


def draw_responses(
    responses: ResponseSet, data: DataConfig, items: Rows, seed: int, epoch: int, step: int
) -> Tensor:
    """Responses of one batch under the repetition policy, with noise where it is asked for.

    Returns
    -------
    float32 tensor (B, V)
    """
    weights = repeat_weights(
        data.repeats,
        items,
        responses.counts[items],
        responses.repeats.shape[1],
        seed=seed,
        epoch=epoch,
        step=step,
    )
    voxels = responses.combine(items, torch.from_numpy(weights))
    if data.noise > 0.0:
        source = torch_generator(seed, "noise", step)
        voxels = voxels + data.noise * torch.randn(voxels.shape, generator=source)
    return voxels


def _one_hot(columns: Rows, width: int) -> Floats:
    return np.eye(width, dtype=np.float32)[columns]
