"""Ridge regression in closed form: one decomposition of the training matrix serves every alpha.

The intercept is not penalised. Rows carry weights: a mean over `n` repeats weighs `n`. Alphas are
relative to the mean squared singular value of the centred training matrix, so that one grid fits
any number of rows and voxels. The error of held-out rows needs no refit: for a linear smoother
`Y_hat = H Y`, the residuals of the rows `F` with `F` left out are `(I - H_FF)^-1 (Y - H Y)_F`
(Hastie, Tibshirani, Friedman, Elements of Statistical Learning, eq. 7.64, in block form).

Shapes: `N` training rows, `V` voxels, `Q` target columns, `R` rank, `A` alphas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Rows = NDArray[np.int64]
# Singular values below this share of the largest carry rounding noise only.
RANK_TOLERANCE = 1e-9
# Target columns handled at once: bounds the memory of the held-out residuals.
CHUNK_COLUMNS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class RidgeBasis:
    """Decomposition of one training matrix, reused for every alpha and every target column.

    Attributes
    ----------
    left : float64 (N, R)
        Left singular vectors of `sqrt(weights) * (voxels - voxel_mean)`.
    singular : float64 (R,)
    right : float64 (R, V)
    voxel_mean : float64 (V,)
        Weighted mean of the training rows.
    weights : float64 (N,)
        Non-negative, with sum N.
    """

    left: Doubles
    singular: Doubles
    right: Doubles
    voxel_mean: Doubles
    weights: Doubles

    @property
    def alpha_unit(self) -> float:
        """What a relative alpha of 1 stands for: the mean squared singular value."""
        return float(np.mean(self.singular**2))


def decompose(voxels: NDArray[np.floating], weights: NDArray[np.floating]) -> RidgeBasis:
    """Centre and decompose the training matrix.

    Parameters
    ----------
    voxels : float array (N, V)
    weights : float array (N,)
        Relative weight of every row, such as the number of repeats it averages.

    Returns
    -------
    RidgeBasis
    """
    weights_n = np.asarray(weights, dtype=np.float64)
    weights_n = weights_n * (len(weights_n) / weights_n.sum())
    voxels_nv = np.asarray(voxels, dtype=np.float64)
    mean_v = weights_n @ voxels_nv / len(weights_n)
    centred = (voxels_nv - mean_v) * np.sqrt(weights_n)[:, None]
    left, singular, right = np.linalg.svd(centred, full_matrices=False)
    keep = singular > RANK_TOLERANCE * singular[0]
    return RidgeBasis(
        left=left[:, keep],
        singular=singular[keep],
        right=right[keep],
        voxel_mean=mean_v,
        weights=weights_n,
    )


def coefficients(
    basis: RidgeBasis, targets: NDArray[np.floating], alpha: NDArray[np.floating]
) -> tuple[Doubles, Doubles]:
    """Solve `min_B sum_n w_n |y_n - b - x_n B|^2 + alpha_q |B_q|^2` for every target column.

    Parameters
    ----------
    basis : RidgeBasis
    targets : float array (N, Q)
    alpha : float array (Q,)
        Relative alpha of every column.

    Returns
    -------
    weight : float64 (V, Q)
    intercept : float64 (Q,)
    """
    targets_nq = np.asarray(targets, dtype=np.float64)
    mean_q = basis.weights @ targets_nq / len(basis.weights)
    scores = basis.left.T @ ((targets_nq - mean_q) * np.sqrt(basis.weights)[:, None])
    squared = basis.singular[:, None] ** 2
    shrink = basis.singular[:, None] / (squared + basis.alpha_unit * np.asarray(alpha)[None])
    weight = basis.right.T @ (scores * shrink)
    return weight, mean_q - basis.voxel_mean @ weight


def group_folds(groups: Rows, folds: int, order: Rows) -> list[Rows]:
    """Split rows so that all rows of one group share a fold.

    Parameters
    ----------
    groups : int64 array (N,)
        The image that every row shows.
    folds : int
        Number of folds; 0, or more folds than groups, leaves one group out at a time.
    order : int64 array (n_groups,)
        Permutation of the sorted distinct groups that decides which share a fold.

    Returns
    -------
    list of int64 arrays
        Row numbers of every fold; together they cover every row once.
    """
    distinct, codes = np.unique(groups, return_inverse=True)
    count = len(distinct) if folds == 0 else min(folds, len(distinct))
    fold_of_group = np.empty(len(distinct), dtype=np.int64)
    fold_of_group[order] = np.arange(len(distinct)) % count
    return [np.flatnonzero(fold_of_group[codes] == fold) for fold in range(count)]


def heldout_errors(
    basis: RidgeBasis,
    targets: NDArray[np.floating],
    folds: Sequence[Rows],
    alphas: Sequence[float],
) -> Doubles:
    """Weighted squared error of every target column when each fold is predicted from the others.

    Parameters
    ----------
    basis : RidgeBasis
        Of all training rows together; no fold is fitted anew, the result is exact all the same.
    targets : float array (N, Q)
    folds : sequence of int64 arrays
        Rows of every fold.
    alphas : sequence of float
        Relative alphas, on the scale of `basis` in every fold.

    Returns
    -------
    float64 (A, Q)
        Sum over rows of weight times squared residual.
    """
    root = np.sqrt(basis.weights)
    errors = np.empty((len(alphas), targets.shape[1]))
    for start in range(0, targets.shape[1], CHUNK_COLUMNS):
        part = slice(start, start + CHUNK_COLUMNS)
        chunk = np.asarray(targets[:, part], dtype=np.float64)
        centred = (chunk - basis.weights @ chunk / len(root)) * root[:, None]
        scores = basis.left.T @ centred
        for a, alpha in enumerate(alphas):
            squared = basis.singular**2
            shrunk = basis.left * (squared / (squared + basis.alpha_unit * alpha))
            residual = centred - shrunk @ scores
            errors[a, part] = sum(_fold_error(shrunk, basis, residual, rows) for rows in folds)
    return errors


def _fold_error(shrunk: Doubles, basis: RidgeBasis, residual: Doubles, rows: Rows) -> Doubles:
    """Squared held-out residuals of one fold, in the space of root-weighted rows."""
    root = np.sqrt(basis.weights[rows])
    # Smoother of the root-weighted rows: the shrunk projection plus the unpenalised intercept.
    smoother = shrunk[rows] @ basis.left[rows].T + np.outer(root, root) / len(basis.weights)
    heldout = np.linalg.solve(np.eye(len(rows)) - smoother, residual[rows])
    return np.asarray((heldout**2).sum(axis=0))


def choose_alpha(errors: Doubles, alphas: Sequence[float], *, per_target: bool) -> Doubles:
    """Alpha of least held-out error, for every column or one for all.

    Parameters
    ----------
    errors : float64 (A, Q)
    alphas : sequence of float
    per_target : bool

    Returns
    -------
    float64 (Q,)
    """
    grid = np.asarray(alphas, dtype=np.float64)
    if per_target:
        return np.asarray(grid[errors.argmin(axis=0)])
    return np.full(errors.shape[1], grid[errors.sum(axis=1).argmin()])
