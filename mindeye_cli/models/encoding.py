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

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindeye_cli.core.sampler import rng
from mindeye_cli.models.encoding_moments import (
    TINY,
    Moments,
    Values,
    as_tensor,
    choose,
    chunks,
    gram,
)
from mindeye_cli.models.ridge import Rows, group_folds
from mindeye_store.errors import InvalidInput

# From hardly any shrinkage to voxels without signal, in half decades.
ALPHAS = tuple(float(alpha) for alpha in np.logspace(-2, 3, 11))
FOLDS = 5
# Eigenvalues of X'X below this share of the largest are rounding noise of float32 features.
EIGEN_TOLERANCE = 1e-10


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
    product = gram(centred if tall else centred.T.contiguous())
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
    _check(x, y)
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
    alpha, r = choose(moments, grid)
    total = Moments.joined(moments)
    projected = (basis.vectors.T @ total.cross) if not wide else total.cross
    for part in chunks(projected.shape[1]):
        projected[:, part] *= basis.shrink(alpha[part])
    return EncodingModel(
        weight=basis.vectors @ projected,
        voxel_mean=total.mean_y.clone(),
        alpha=alpha,
        r=r,
        basis=basis,
    )


def _check(x: Tensor, y: Tensor) -> None:
    """Refuse what no model can be fitted to."""
    if len(x) < 4 or len(x) != len(y):
        raise InvalidInput(f"an encoding model needs four images or more, there are {len(x)}")
    if not (torch.isfinite(x).all() and torch.isfinite(y).all()):
        raise InvalidInput("the features or responses are not finite")


def fold_rows(count: int, folds: int = FOLDS, seed: int = 0) -> list[Rows]:
    """The folds of `fit_encoding`, for whoever checks it."""
    order = rng(seed, "encoding folds").permutation(count).astype(np.int64)
    return group_folds(np.arange(count, dtype=np.int64), folds, order)
