"""What a score loses without some voxels, beside the loss without as many others.

Shapes: `V` voxels, `M` masks, `B` responses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Score = Callable[[Tensor], Tensor]
BATCH = 64


def losses(score: Score, responses: Tensor, masks: Sequence[NDArray[np.bool_]]) -> Tensor:
    """Mean loss of the score when the voxels of a mask are at 0, their training mean.

    Parameters
    ----------
    score : callable
        (B, V) to (B,).
    responses : float32 (B, V)
    masks : sequence of bool arrays (V,)

    Returns
    -------
    float64 (M, B)
    """
    kept = torch.from_numpy(~np.stack(masks)).to(responses.device)
    with torch.no_grad():
        whole = score(responses).double().cpu()
        # One response at a time: masks in their hundreds fill the batch.
        without = torch.stack([_masked(score, row, kept) for row in responses], dim=1)
    return whole - without


def _masked(score: Score, row: Tensor, kept: Tensor) -> Tensor:
    """Score of one response under every mask, float64 (M,)."""
    return torch.cat([score(row * part) for part in kept.split(BATCH)]).double().cpu()
