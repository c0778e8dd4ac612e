"""Expected gradients: a score's change from other responses to this one, shared out over voxels.

Integrated gradients (Sundararajan et al. 2017, arXiv:1703.01365, eq. 1) multiply the path's mean
gradient by the difference from a baseline; the mean over baselines that were measured is the
expected gradient (Erion et al. 2021, arXiv:1906.10670, eq. 4). Shares add up to the difference of
the scores: that is checked, and steps are doubled until it holds.

Where the score begins with an affine map, the path runs behind it, since a straight path stays
straight, and one product brings the mean gradient back to the voxels.

Shapes: `V` voxels, `K` baselines, `S` steps, `D` numbers behind the affine map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mindeye_store.errors import InvalidInput

Score = Callable[[Tensor], Tensor]
Affine = Callable[[Tensor], Tensor]
STEPS, MOST_STEPS = 200, 800
# Of the larger of the difference and the score's spread over responses.
TOLERANCE = 0.01
BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """One response's score, shared out.

    Attributes
    ----------
    values : float32 (K, V)
        A voxel's share of the difference from every baseline.
    difference : float
        The score less the baselines' mean score.
    missing : float
        Largest difference that the shares of one baseline leave, in units of the scale.
    steps : int
        Points of the path that it took.
    """

    values: Tensor
    difference: float
    missing: float
    steps: int


def identity(rows: Tensor) -> Tensor:
    """The affine map that does nothing."""
    return rows


def expected_gradients(
    score: Score,
    response: Tensor,
    baselines: Tensor,
    *,
    through: Affine = identity,
    steps: int = STEPS,
    most: int = MOST_STEPS,
    tolerance: float = TOLERANCE,
) -> Shares:
    """Share out what sets a response apart from baselines.

    Parameters
    ----------
    score : callable
        (B, D) to (B,), differentiable.
    response : float32 (V,)
    baselines : float32 (K, V)
    through : callable
        (B, V) to (B, D), affine: comes before the score.
    steps, most : int
        Points of a path, doubled up to `most` while the shares do not add up.
    tolerance : float

    Returns
    -------
    Shares

    Raises
    ------
    InvalidInput
        The shares do not add up with `most` points.
    """
    with torch.no_grad():
        first, last = through(baselines), through(response[None])[0]
        start, end = score(first), score(last[None])[0]
    scale = max(float((end - start).abs().max()), float(start.std()) if len(start) > 1 else 0.0)
    scale = max(scale, torch.finfo(torch.float32).eps)
    while True:
        slopes = torch.stack([_slope(score, last, base, steps) for base in first])
        values = _back(through, slopes, response) * (response - baselines)
        left = (values.double().sum(dim=1) - (end - start).double()).abs()
        missing = float(left.max()) / scale
        if missing <= tolerance:
            difference = float((end - start).mean())
            return Shares(values=values, difference=difference, missing=missing, steps=steps)
        if 2 * steps > most:
            break
        steps *= 2
    raise InvalidInput(
        f"the voxels' shares miss the score's change by {missing:.1%} after {steps} steps,"
        f" {tolerance:.0%} is allowed",
        where="used by decoder",
        fix="ask without it: --ask responds,needed",
    )


def _slope(score: Score, last: Tensor, first: Tensor, steps: int) -> Tensor:
    """Mean gradient of the path by Gauss-Legendre quadrature, (D,)."""
    points, weights = np.polynomial.legendre.leggauss(steps)
    at = torch.from_numpy((points + 1) / 2).float()
    share = torch.from_numpy(weights / 2).float()
    difference, total = last - first, torch.zeros_like(last)
    for start in range(0, steps, BATCH):
        part = slice(start, start + BATCH)
        rows = (first + at[part, None].to(first) * difference).requires_grad_(True)
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(score(rows).sum(), rows)
        total += share[part].to(first) @ gradient
    return total


def _back(through: Affine, slopes: Tensor, response: Tensor) -> Tensor:
    """Gradients behind the affine map as gradients of the voxels, (K, D) to (K, V)."""
    rows = response.expand(len(slopes), -1).clone().requires_grad_(True)
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(through(rows), rows, slopes)
    return gradient
