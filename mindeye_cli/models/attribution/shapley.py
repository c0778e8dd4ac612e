"""Shapley values of groups of voxels: a score's change from nothing, shared out over the groups.

Groups that are absent have their voxels at 0, the training mean. Random orders in pairs, each with
its reverse (Castro et al. 2009; antithetic, Mitchell et al. 2022, JMLR 23(43)); within an order the
contributions add up to the whole change, so their mean does.

Shapes: `V` voxels, `G` groups, `P` orders, `D` numbers behind an affine map.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mindeye_cli.core.sampler import rng
from mindeye_cli.models.attribution.gradients import Affine, Score, identity

ORDERS = 50


def shapley(
    score: Score,
    response: Tensor,
    groups: Tensor,
    *,
    through: Affine = identity,
    orders: int = ORDERS,
    seed: int = 0,
) -> Tensor:
    """Contribution of every group in every pair of orders.

    Parameters
    ----------
    score : callable
        (B, D) to (B,).
    response : float32 (V,)
    groups : int64 (V,)
        Group of each voxel, 0 to G - 1.
    through : callable
        (B, V) to (B, D), affine: comes before the score.
    orders : int
        An even number.
    seed : int

    Returns
    -------
    float64 (orders / 2, G)
        Each row is the mean of an order and its reverse and adds up to the whole change; the mean
        over rows is the estimate, its spread the estimate's error.
    """
    count = int(groups.max()) + 1
    own = torch.arange(count, device=groups.device)[:, None] == groups
    with torch.no_grad():
        nothing = through(torch.zeros_like(response)[None])
        # What each group adds before the score, whatever else is there.
        parts = through(response * own) - nothing
    random, rows = rng(seed, "shapley"), []
    for _ in range(orders // 2):
        order = random.permutation(count)
        pair = [_contributions(score, nothing, parts, o) for o in (order, order[::-1])]
        rows.append((pair[0] + pair[1]) / 2)
    return torch.stack(rows)


def _contributions(score: Score, nothing: Tensor, parts: Tensor, order: np.ndarray) -> Tensor:
    """What each group adds when groups come in this order, float64 (G,)."""
    arrived = parts[torch.from_numpy(order.copy()).to(parts.device)].cumsum(dim=0)
    with torch.no_grad():
        values = score(nothing + torch.cat([torch.zeros_like(nothing), arrived])).double().cpu()
    out = torch.empty(len(order), dtype=torch.float64)
    out[torch.from_numpy(order.copy())] = values.diff()
    return out
