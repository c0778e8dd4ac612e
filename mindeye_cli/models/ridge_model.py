"""A fitted ridge model: from responses to flattened targets, optionally through whitened ones.

Whitening predicts the targets' principal components at unit variance, so that a few dominant ones
do not hide the others; components that held-out rows cannot be predicted on are dropped.

Shapes: `N` training images, `B` rows, `V` voxels, `Q` flattened target, `K` components.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindeye_cli.core.sampler import rng
from mindeye_cli.models.ridge import (
    Doubles,
    choose_alpha,
    coefficients,
    decompose,
    group_folds,
    heldout_errors,
)

Floats = NDArray[np.float32]
# Principal components below this share of the largest singular value are rounding noise.
COMPONENT_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Whitening:
    """Linear map between flattened targets and components of unit variance.

    Attributes
    ----------
    mean : float64 (Q,)
        Weighted mean of the training targets.
    components : float64 (K, Q)
        Orthonormal rows.
    spread : float64 (K,)
        Standard deviation of every component over the training images.
    """

    mean: Doubles
    components: Doubles
    spread: Doubles

    def forward(self, targets: NDArray[np.floating]) -> Doubles:
        """Whitened targets, (B, Q) to (B, K)."""
        return np.asarray((targets - self.mean) @ self.components.T / self.spread)

    def take(self, keep: NDArray[np.bool_]) -> Whitening:
        """The map to some of the components."""
        return Whitening(mean=self.mean, components=self.components[keep], spread=self.spread[keep])

    def backward(self, whitened: NDArray[np.floating]) -> Doubles:
        """The targets that whitened ones stand for, (B, K) to (B, Q)."""
        return np.asarray(whitened * self.spread @ self.components + self.mean)


@dataclass(frozen=True, slots=True, kw_only=True)
class RidgeModel:
    """Weights of a fitted model.

    Attributes
    ----------
    weight : float32 (V, Q) or, whitened, (V, K)
    intercept : float32 (Q,) or (K,)
    alpha : float32 (Q,) or (K,)
        The relative alpha of every column (see `models.ridge`).
    whitening : Whitening or None
    """

    weight: Floats
    intercept: Floats
    alpha: Floats
    whitening: Whitening | None = None

    def columns(self, voxels: Floats) -> Floats:
        """Predicted columns, whitened where the model is; (B, V) to (B, Q or K)."""
        return np.asarray(voxels @ self.weight + self.intercept, dtype=np.float32)

    def predict(self, voxels: Floats) -> Floats:
        """Predicted flattened targets, (B, V) to (B, Q)."""
        columns = self.columns(voxels)
        if self.whitening is None:
            return columns
        return self.whitening.backward(columns).astype(np.float32)

    def tensors(self) -> dict[str, Tensor]:
        """All arrays by name, for saving."""
        arrays: dict[str, NDArray[np.floating]] = {
            "weight": self.weight,
            "intercept": self.intercept,
            "alpha": self.alpha,
        }
        if self.whitening is not None:
            arrays["whitening.mean"] = self.whitening.mean
            arrays["whitening.components"] = self.whitening.components
            arrays["whitening.spread"] = self.whitening.spread
        return {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> RidgeModel:
        """Read back what `tensors` gave; a missing name is a KeyError."""
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        whitening = None
        if "whitening.mean" in arrays:
            whitening = Whitening(
                mean=arrays["whitening.mean"],
                components=arrays["whitening.components"],
                spread=arrays["whitening.spread"],
            )
        return cls(
            weight=arrays["weight"],
            intercept=arrays["intercept"],
            alpha=arrays["alpha"],
            whitening=whitening,
        )


def fit(
    voxels: NDArray[np.floating],
    counts: NDArray[np.int64],
    targets: NDArray[np.floating],
    *,
    alphas: Sequence[float],
    per_target: bool,
    folds: int,
    whiten: bool,
    seed: int,
) -> RidgeModel:
    """Fit one model to mean responses, its alphas chosen by held-out images.

    Parameters
    ----------
    voxels : float array (N, V)
        Mean response to every training image.
    counts : int64 array (N,)
        Repeats behind every mean: its weight.
    targets : float array (N, Q)
    alphas : sequence of float
        Relative alphas to choose from.
    per_target : bool
        One alpha for every column, or one for all.
    folds : int
        Inner folds; 0 leaves one image out at a time.
    whiten : bool
    seed : int
        Decides which images share a fold.

    Returns
    -------
    RidgeModel
    """
    n = len(voxels)
    basis = decompose(voxels, counts.astype(np.float64))
    inner = group_folds(
        np.arange(n, dtype=np.int64), folds, rng(seed, "inner folds").permutation(n)
    )
    columns = np.asarray(targets, dtype=np.float64)
    whitening = None
    if whiten:
        whitening = _fit_whitening(columns, basis.weights)
        columns = whitening.forward(columns)
    errors = heldout_errors(basis, columns, inner, alphas)
    if whitening is not None:
        # The weighted sum of squares of a component is n: below it, some variance is explained.
        keep = errors.min(axis=0) < n
        keep[errors.min(axis=0).argmin()] = True
        errors, columns, whitening = errors[:, keep], columns[:, keep], whitening.take(keep)
    alpha = choose_alpha(errors, alphas, per_target=per_target)
    weight, intercept = coefficients(basis, columns, alpha)
    return RidgeModel(
        weight=weight.astype(np.float32),
        intercept=intercept.astype(np.float32),
        alpha=alpha.astype(np.float32),
        whitening=whitening,
    )


def _fit_whitening(targets: Doubles, weights: Doubles) -> Whitening:
    """Principal components of the weighted training targets."""
    mean = weights @ targets / len(weights)
    centred = (targets - mean) * np.sqrt(weights)[:, None]
    _, singular, components = np.linalg.svd(centred, full_matrices=False)
    keep = singular > COMPONENT_TOLERANCE * singular[0]
    return Whitening(
        mean=mean,
        components=components[keep],
        spread=singular[keep] / np.sqrt(len(weights)),
    )
