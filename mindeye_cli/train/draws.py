"""Random choices of a step, each a pure function of (seed, epoch or step, position in the batch).

Every draw is made for the whole batch, whatever part of it a process computes.

Shapes: `B` batch, `R` most repeats of an image, `V` voxels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindeye_cli.core.sampler import rng, torch_generator
from mindeye_cli.train.config import DataConfig, Repeats
from mindeye_cli.train.responses import ResponseSet

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]
# Published low-level mixture: one draw a batch picks random weights, the mean, or one repetition
# per sample with what is left (MindEye 2023, code of the low-level pipeline).
CONVEX_SHARE, MEAN_SHARE = 0.5, 0.3


def repeat_weights(
    policy: Repeats,
    items: Rows,
    counts: Rows,
    width: int,
    *,
    seed: int,
    epoch: int,
    keys: tuple[int, ...],
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
    seed, epoch : int
    keys : tuple of int
        The step, and the part of its batch if it is split.

    Returns
    -------
    float32 array (B, R)
        Rows sum to 1; columns past an item's repeats are 0.
    """
    present = np.arange(width)[None] < counts[:, None]
    if policy == "random-convex":
        draw = rng(seed, "repeats", *keys)
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
    responses: ResponseSet,
    data: DataConfig,
    items: Rows,
    seed: int,
    epoch: int,
    keys: tuple[int, ...],
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
        keys=keys,
    )
    voxels = responses.combine(items, torch.from_numpy(weights))
    if data.noise > 0.0:
        source = torch_generator(seed, "noise", *keys)
        voxels = voxels + data.noise * torch.randn(voxels.shape, generator=source).to(voxels)
    return voxels


def draw_views(views: int, n: int, seed: int, epoch: int) -> Rows | None:
    """Which view of every item's targets an epoch takes, int64 (n,); 0 is the plain one.

    None where there are no augmented views.
    """
    if not views:
        return None
    return rng(seed, "views", epoch).integers(0, views + 1, size=n)


def _one_hot(columns: Rows, width: int) -> Floats:
    return np.eye(width, dtype=np.float32)[columns]
