"""The exact spread under permuted images against refits of ridge in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mindeye_cli.core.significance import fdr, two_sided
from mindeye_cli.models.encoding import EncodingModel, fit_encoding, row_weights
from mindeye_cli.models.encoding_refits import Refits, permuted_spread

D, V, DRAWS = 5, 6, 4000


def _fitted(
    n: int, counts: np.ndarray, seed: int = 3
) -> tuple[np.ndarray, np.ndarray, EncodingModel]:
    draw = np.random.default_rng(seed)
    x = draw.standard_normal((n, D)) @ draw.standard_normal((D, D))
    y = x @ draw.standard_normal((D, V)) * np.linspace(0, 2, V) + draw.standard_normal((n, V))
    x, y = x.astype(np.float32), y.astype(np.float32)
    return x, y, fit_encoding(x, y, counts)


def _spread(x: np.ndarray, y: np.ndarray, counts: np.ndarray, model: EncodingModel) -> np.ndarray:
    contrasts = np.stack([np.linspace(-1, 1, D), np.eye(D)[0]]).astype(np.float32)
    refits = Refits.of(model, x, y, counts)
    weights = row_weights(counts)
    found = permuted_spread(model, refits.scores, weights, refits.variance, contrasts)
    return found.numpy()


def _naive(x: np.ndarray, y: np.ndarray, counts: np.ndarray, model: EncodingModel) -> np.ndarray:
    """Ridge by the normal equations, fitted anew to responses in random order; (DRAWS, 2, V)."""
    contrasts = np.stack([np.linspace(-1, 1, D), np.eye(D)[0]])
    w = counts / counts.mean()
    z = x.astype(np.float64) - w @ x / w.sum()
    gram = (z * w[:, None]).T @ z
    unit = np.linalg.eigvalsh(gram).mean()
    draw, out = np.random.default_rng(0), np.empty((DRAWS, 2, V))
    # The inverse of every voxel's own alpha serves all orders.
    inverses = [np.linalg.inv(gram + a * unit * np.eye(D)) for a in model.alpha.numpy()]
    for k in range(DRAWS):
        moved = y[draw.permutation(len(y))].astype(np.float64)
        cross = (z * w[:, None]).T @ (moved - w @ moved / w.sum())
        for v, inverse in enumerate(inverses):
            out[k, :, v] = contrasts @ (inverse @ cross[:, v])
    return out


@pytest.mark.parametrize("repeats", [1, 3])
def test_spread_equals_naive_refits(repeats: int) -> None:
    counts = np.random.default_rng(1).integers(1, repeats + 1, 60)
    x, y, model = _fitted(60, counts)
    assert len(torch.unique(model.alpha)) > 1
    naive = _naive(x, y, counts, model)
    np.testing.assert_allclose(_spread(x, y, counts, model), naive.std(axis=0), rtol=0.06)
    error = naive.std(axis=0) / DRAWS**0.5
    assert (np.abs(naive.mean(axis=0)) < 5 * error).all()


def test_spread_is_exact_over_every_order() -> None:
    """Six images: all 720 orders."""
    from itertools import permutations

    counts = np.ones(6, dtype=np.int64)
    x, y, model = _fitted(6, counts)
    weights = model.basis.vectors.numpy(), model.basis.values.numpy()
    direction = np.linspace(-1, 1, D)
    z = (x - x.mean(axis=0)).astype(np.float64)
    expected = np.empty(V)
    for v in range(V):
        shrink = 1 / (weights[1] + model.basis.alpha_unit * float(model.alpha[v]))
        kernel = z @ (weights[0] * shrink) @ weights[0].T @ direction
        values = [kernel @ y[list(order), v] for order in permutations(range(6))]
        expected[v] = np.std(values)
    np.testing.assert_allclose(_spread(x, y, counts, model)[0], expected, rtol=2e-3)


def test_z_of_noise_is_standard_normal() -> None:
    """Responses without signal: few voxels are significant, whatever the direction."""
    draw = np.random.default_rng(9)
    counts = np.ones(150, dtype=np.int64)
    x = draw.standard_normal((150, D)).astype(np.float32)
    y = draw.standard_normal((150, 800)).astype(np.float32)
    model = fit_encoding(x, y, counts)
    refits = Refits.of(model, x, y, counts)
    direction = draw.standard_normal((1, D)).astype(np.float32)
    spread = permuted_spread(model, refits.scores, row_weights(counts), refits.variance, direction)
    z = (model.contrast(direction) / spread).numpy()
    assert 0.85 < z.std() < 1.15
    assert (np.abs(z) > 1.96).mean() < 0.09
    assert (fdr(two_sided(z)) < 0.05).mean() < 0.01
