"""Unit rows for the contrastive losses: one a sample, or one a token.

Shapes: `B` batch, `T` tokens or positions, `D` width.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def unit_rows(x: Tensor) -> Tensor:
    """Flatten each sample and divide it by its norm.

    Parameters
    ----------
    x : Tensor, shape (B, ...)

    Returns
    -------
    Tensor, shape (B, product of the rest)
        Rows of unit L2 norm, at least float32.
    """
    return F.normalize(_at_least_float32(x).flatten(1), dim=-1)


def token_rows(x: Tensor) -> Tensor:
    """Make every token a row of unit norm.

    Parameters
    ----------
    x : Tensor, shape (B, T, D)

    Returns
    -------
    Tensor, shape (B * T, D)
    """
    return F.normalize(_at_least_float32(x).flatten(0, 1), dim=-1)


def _at_least_float32(x: Tensor) -> Tensor:
    # Temperatures near .005 turn half precision's rounding of a cosine into logits off by .1.
    return x if x.element_size() >= 4 else x.float()
