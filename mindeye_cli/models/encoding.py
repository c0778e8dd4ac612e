"""Voxelwise encoding: ridge from embeddings to voxels, one alpha a voxel, cross-validated r.

Everything is computed from second moments, so that no held-out prediction is ever made: with the
fold-centred moments `G = X'X`, `C = X'Y` of a fold's held-out rows and the weights `b` fitted to
the other rows, the held-out covariance is `b'C` and the variance of the prediction `b'Gb`. One
decomposition of the training moments serves every alpha. The alpha of a fold is the best one on the
*other* folds, so that r is not the largest of many tries.

The intercept is not penalised. Rows carry weights: a mean over `n` repeats weighs `n`. Alphas are
relative to the mean eigenvalue of the centred `X'X`, as in `models.ridge`.

Shapes: `N` images, `D` features (an embedding, or codes), `R` rank, `V` voxels, `A` alphas,
`K` folds, `B` rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindeye_cli.core.atomic import write_json
from mindeye_cli.core.checkpoint import load_tensors, save_tensors
from mindeye_cli.core.sampler import rng
from mindeye_cli.models.ridge import Rows, group_folds
from mindeye_store.errors import InvalidInput
from mindeye_store.files import read_json

Values = NDArray[np.floating] | Tensor
# From hardly any shrinkage to voxels without signal, in half decades.
ALPHAS = tuple(float(alpha) for alpha in np.logspace(-2, 3, 11))
FOLDS = 5
# Voxels handled at once: their products stay in the processor's cache.
CHUNK_VOXELS = 2048
# Eigenvalues of X'X below this share of the largest are rounding noise of float32 features.
EIGEN_TOLERANCE = 1e-10
TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """Eigenvectors of the weighted, centred training features.

    Attributes
    ----------
    mean : float32 (D,)
        Weighted mean of the training features.
    vectors : float32 (D, R)
        Orthonormal columns.
    values : float32 (R,)
        Eigenvalues of `X'WX`.
    """

    mean: Tensor
    vectors: Tensor
    values: Tensor

    @property
    def alpha_unit(self) -> float:
        """What a relative alpha of 1 stands for: the mean eigenvalue."""
        return float(self.values.double().mean())

    def shrink(self, alpha: Tensor) -> Tensor:
        """`1 / (value + alpha)`, (R, A) for relative alphas (A,)."""
        return 1.0 / (self.values[:, None] + self.alpha_unit * alpha[None, :])


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingModel:
    """A fitted encoder.

    Attributes
    ----------
    weight : float32 (D, V)
    voxel_mean : float32 (V,)
        Weighted mean response.
    alpha : float32 (V,)
        Relative alpha of every voxel, one of the grid.
    r : float32 (V,)
        Cross-validated correlation within folds; 0 for a voxel that does not vary.
    basis : Basis
    """

    weight: Tensor
    voxel_mean: Tensor
    alpha: Tensor
    r: Tensor
    basis: Basis

    def predict(self, features: Values) -> Tensor:
        """Expected responses to images, (B, D) to float32 (B, V)."""
        return self.contrast(as_tensor(features) - self.basis.mean) + self.voxel_mean

    def contrast(self, differences: Values) -> Tensor:
        """Expected differences of response for differences of features, (B, D) to (B, V)."""
        return as_tensor(differences) @ self.weight

    def tensors(self) -> dict[str, Tensor]:
        """All arrays by name, for saving."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "basis"}
        return own | {f"basis.{f.name}": getattr(self.basis, f.name) for f in fields(Basis)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> EncodingModel:
        """Read back what `tensors` gave; a missing name is a KeyError."""
        basis = Basis(**{f.name: tensors[f"basis.{f.name}"] for f in fields(Basis)})
        own = {f.name: tensors[f.name] for f in fields(cls) if f.name != "basis"}
        return cls(**own, basis=basis)


def as_tensor(values: Values) -> Tensor:
    """float32 Tensor of an array, without a copy where it is one already."""
    if isinstance(values, Tensor):
        return values.float()
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def row_weights(counts: NDArray[np.integer]) -> Tensor:
    """Weights of rows that average `counts` repeats: proportional to them, with mean 1."""
    weights = np.asarray(counts, dtype=np.float64)
    return torch.from_numpy((weights / weights.mean()).astype(np.float32))


def decompose(features: Values, weights: Tensor) -> Basis:
    """Eigenvectors of the weighted, centred features, through the smaller of the two products.

    Parameters
    ----------
    features : float array (N, D)
    weights : float32 (N,), with mean 1
    """
    rows = as_tensor(features)
    mean = (weights.double() @ rows.double() / len(rows)).float()
    centred = (rows - mean) * weights.sqrt()[:, None]
    tall = centred.shape[0] >= centred.shape[1]
    product = _gram(centred if tall else centred.T.contiguous())
    values, vectors = torch.linalg.eigh(product)
    keep = values > EIGEN_TOLERANCE * values[-1].clamp_min(TINY)
    values, vectors = values[keep].flip(0), vectors[:, keep].flip(1)
    if not tall:
        vectors = centred.double().T @ vectors / values.sqrt()
    return Basis(mean=mean, vectors=vectors.float(), values=values.float())


def fit_encoding(
    features: Values,
    responses: Values,
    counts: NDArray[np.integer],
    *,
    alphas: Sequence[float] = ALPHAS,
    folds: int = FOLDS,
    seed: int = 0,
) -> EncodingModel:
    """Fit every voxel's ridge, its alpha chosen by held-out images.

    Parameters
    ----------
    features : float array (N, D)
        One row a training image. Rows of test images must not be among them.
    responses : float array (N, V)
        Mean response to every image.
    counts : int array (N,)
        Repeats behind every mean: its weight.
    alphas : sequence of float
        Relative alphas to choose from.
    folds : int
        At most N.
    seed : int
        Decides which images share a fold.

    Returns
    -------
    EncodingModel

    Raises
    ------
    InvalidInput
        Fewer than four images, features that do not vary, or values that are not finite.
    """
    x, y = as_tensor(features), as_tensor(responses)
    if len(x) < 4 or len(x) != len(y):
        raise InvalidInput(f"an encoding model needs four images or more, there are {len(x)}")
    if not (torch.isfinite(x).all() and torch.isfinite(y).all()):
        raise InvalidInput("the features or responses are not finite")
    weights = row_weights(counts)
    basis = decompose(x, weights)
    if not len(basis.values):
        raise InvalidInput("the features are the same for every image", fix="choose another space")
    # Where features outnumber images, all is computed in the space that the images span.
    wide = x.shape[1] > len(x)
    z = (x - basis.mean) @ basis.vectors if wide else x - basis.mean
    order = rng(seed, "encoding folds").permutation(len(x)).astype(np.int64)
    rows = group_folds(np.arange(len(x), dtype=np.int64), folds, order)
    moments = [Moments.of(z[fold], y[fold], weights[fold]) for fold in rows]
    grid = torch.tensor(alphas, dtype=torch.float32)
    alpha, r = _choose(moments, grid)
    total = Moments.joined(moments)
    projected = (basis.vectors.T @ total.cross) if not wide else total.cross
    for part in _chunks(projected.shape[1]):
        projected[:, part] *= basis.shrink(alpha[part])
    return EncodingModel(
        weight=basis.vectors @ projected,
        voxel_mean=total.mean_y.clone(),
        alpha=alpha,
        r=r,
        basis=basis,
    )


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
        for part in _chunks(y.shape[1]):
            piece = (y[:, part] - mean_y[part]) * root
            cross[:, part] = centred.T @ piece
            square[part] = (piece * piece).sum(dim=0)
        return cls(
            weight=weight,
            mean_x=mean_x,
            mean_y=mean_y,
            gram=_gram(centred),
            cross=cross,
            square=square,
        )

    @classmethod
    def joined(cls, parts: Sequence[Moments]) -> Moments:
        """Moments of all rows together, around their common means."""
        weight = sum(part.weight for part in parts)
        mean_x = torch.stack([part.mean_x * part.weight for part in parts]).sum(dim=0) / weight
        mean_y = torch.stack([part.mean_y * part.weight for part in parts]).sum(dim=0) / weight
        gram = torch.zeros_like(parts[0].gram)
        cross, square = torch.zeros_like(parts[0].cross), torch.zeros_like(parts[0].square)
        for part in parts:
            dx, dy = part.mean_x - mean_x, part.mean_y - mean_y
            gram += part.gram + part.weight * torch.outer(dx.double(), dx.double())
            cross += part.cross
            cross.addr_(dx, dy, alpha=part.weight)
            square += part.square + part.weight * dy * dy
        return cls(
            weight=weight, mean_x=mean_x, mean_y=mean_y, gram=gram, cross=cross, square=square
        )


def _choose(moments: Sequence[Moments], grid: Tensor) -> tuple[Tensor, Tensor]:
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
    gram = (vectors.T @ fold.gram @ vectors).float()
    turn = vectors.float().T
    voxels = train.cross.shape[1]
    covariance, variance = torch.empty(len(grid), voxels), torch.empty(len(grid), voxels)
    for part in _chunks(voxels):
        scores, truth = turn @ train.cross[:, part], turn @ fold.cross[:, part]
        for a in range(len(grid)):
            weight = scores * shrink[:, a, None]
            covariance[a, part] = (weight * truth).sum(dim=0)
            variance[a, part] = weight.mul_(gram @ weight).sum(dim=0)
    return covariance, variance


def _gram(rows: Tensor) -> Tensor:
    """float64 `rows' rows`, in pieces that bound the float64 copies."""
    out = torch.zeros(rows.shape[1], rows.shape[1], dtype=torch.float64)
    for piece in rows.split(CHUNK_VOXELS):
        wide = piece.double()
        out.addmm_(wide.T, wide)
    return out


def _chunks(count: int) -> list[slice]:
    return [slice(start, start + CHUNK_VOXELS) for start in range(0, count, CHUNK_VOXELS)]


def save_encoding(
    folder: Path, model: EncodingModel, fingerprint: str, facts: Mapping[str, Any]
) -> None:
    """Write `encoding.safetensors`, then `encoding.json` with its fingerprint and facts."""
    save_tensors(folder / "encoding.safetensors", model.tensors())
    write_json(folder / "encoding.json", {"fingerprint": fingerprint, **facts})


def load_encoding(folder: Path, fingerprint: str) -> EncodingModel | None:
    """The model that was saved with this fingerprint; None where there is none, or another.

    Raises
    ------
    InvalidInput, MissingResource
        The folder names the fingerprint but its tensors are absent or damaged.
    """
    record = folder / "encoding.json"
    if not record.is_file() or read_json(record).get("fingerprint") != fingerprint:
        return None
    return EncodingModel.from_tensors(load_tensors(folder / "encoding.safetensors"))


def fold_rows(count: int, folds: int = FOLDS, seed: int = 0) -> list[Rows]:
    """The folds of `fit_encoding`, for whoever checks it."""
    order = rng(seed, "encoding folds").permutation(count).astype(np.int64)
    return group_folds(np.arange(count, dtype=np.int64), folds, order)
