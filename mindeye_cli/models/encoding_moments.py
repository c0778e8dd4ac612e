"""Second moments of rows, and the alpha of every voxel that held-out rows ask for.

Shapes: `n` rows, `D` features, `V` voxels, `A` alphas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Values = NDArray[np.floating] | Tensor
# Voxels handled at once: their products stay in the processor's cache.
CHUNK_VOXELS = 2048
TINY = 1e-12


def as_tensor(values: Values) -> Tensor:
    """float32 Tensor of an array, without a copy where it is one already."""
    if isinstance(values, Tensor):
        return values.float()
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Weighted second moments of some rows around their own means.

    Attributes
    ----------
    weight : float
        Sum of the rows' weights.
    mean_x, mean_y : float32 (D,), (V,)
    gram : float64 (D, D)
    cross : float32 (D, V)
    square : float32 (V,)
    """

    weight: float
    mean_x: Tensor
    mean_y: Tensor
    gram: Tensor
    cross: Tensor
    square: Tensor

    @classmethod
    def of(cls, x: Tensor, y: Tensor, weights: Tensor) -> Moments:
        """Moments of rows `x` (n, D) and `y` (n, V)."""
        weight = float(weights.double().sum())
        root = weights.sqrt()[:, None]
        mean_x, mean_y = weights @ x / weight, weights @ y / weight
        centred = (x - mean_x) * root
        cross = torch.empty(x.shape[1], y.shape[1])
        square = torch.empty(y.shape[1])
        for part in chunks(y.shape[1]):
            piece = (y[:, part] - mean_y[part]) * root
            cross[:, part] = centred.T @ piece
            square[part] = (piece * piece).sum(dim=0)
        return cls(
            weight=weight,
            mean_x=mean_x,
            mean_y=mean_y,
            gram=gram(centred),
            cross=cross,
            square=square,
        )

    @classmethod
    def joined(cls, parts: Sequence[Moments]) -> Moments:
        """Moments of all rows together, around their common means."""
        weight = sum(part.weight for part in parts)
        mean_x = torch.stack([part.mean_x * part.weight for part in parts]).sum(dim=0) / weight
        mean_y = torch.stack([part.mean_y * part.weight for part in parts]).sum(dim=0) / weight
        product = torch.zeros_like(parts[0].gram)
        cross, square = torch.zeros_like(parts[0].cross), torch.zeros_like(parts[0].square)
        for part in parts:
            dx, dy = part.mean_x - mean_x, part.mean_y - mean_y
            product += part.gram + part.weight * torch.outer(dx.double(), dx.double())
            cross += part.cross
            cross.addr_(dx, dy, alpha=part.weight)
            square += part.square + part.weight * dy * dy
        return cls(
            weight=weight, mean_x=mean_x, mean_y=mean_y, gram=product, cross=cross, square=square
        )


def choose(moments: Sequence[Moments], grid: Tensor) -> tuple[Tensor, Tensor]:
    """Alpha of every voxel, and its r with each fold's alpha chosen on the other folds."""
    held = [
        _held_out(Moments.joined([m for j, m in enumerate(moments) if j != k]), fold, grid)
        for k, fold in enumerate(moments)
    ]
    errors = torch.stack([entry[1] - 2 * entry[0] for entry in held])
    total = errors.sum(dim=0)
    covariance, spread = torch.zeros(total.shape[1]), torch.zeros(total.shape[1])
    for k, (cov, var) in enumerate(held):
        best = (total - errors[k]).argmin(dim=0, keepdim=True)
        covariance += cov.gather(0, best)[0]
        spread += var.gather(0, best)[0]
    square = torch.stack([fold.square for fold in moments]).sum(dim=0)
    scale = (spread * square).clamp_min(0).sqrt()
    r = torch.where(scale > TINY, covariance / scale.clamp_min(TINY), torch.zeros(()))
    return grid[total.argmin(dim=0)], r


def _held_out(train: Moments, fold: Moments, grid: Tensor) -> tuple[Tensor, Tensor]:
    """Held-out covariance with the truth and variance of the predictions, each (A, V)."""
    values, vectors = torch.linalg.eigh(train.gram)
    unit = values.clamp_min(0).mean()
    shrink = (1.0 / (values.clamp_min(0)[:, None] + unit * grid.double())).float()
    turned = (vectors.T @ fold.gram @ vectors).float()
    turn = vectors.float().T
    voxels = train.cross.shape[1]
    covariance, variance = torch.empty(len(grid), voxels), torch.empty(len(grid), voxels)
    for part in chunks(voxels):
        scores, truth = turn @ train.cross[:, part], turn @ fold.cross[:, part]
        for a in range(len(grid)):
            weight = scores * shrink[:, a, None]
            covariance[a, part] = (weight * truth).sum(dim=0)
            variance[a, part] = weight.mul_(turned @ weight).sum(dim=0)
    return covariance, variance


def gram(rows: Tensor) -> Tensor:
    """float64 `rows' rows`, in pieces that bound the float64 copies."""
    out = torch.zeros(rows.shape[1], rows.shape[1], dtype=torch.float64)
    for piece in rows.split(CHUNK_VOXELS):
        wide = piece.double()
        out.addmm_(wide.T, wide)
    return out


def chunks(count: int) -> list[slice]:
    """Cut so many voxels into pieces."""
    return [slice(start, start + CHUNK_VOXELS) for start in range(0, count, CHUNK_VOXELS)]
