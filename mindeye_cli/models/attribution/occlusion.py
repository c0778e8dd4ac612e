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
    with torch.no_grad():
        whole = score(responses).double().cpu()
        rows = [
            whole - score(responses * torch.from_numpy(~mask).to(responses)).double().cpu()
            for mask in masks
        ]
    return torch.stack(rows)
