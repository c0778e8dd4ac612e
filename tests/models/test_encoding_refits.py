"""Refits of an encoding model against fitting it anew."""

from __future__ import annotations

import numpy as np
import torch

from mindeye_cli.models.encoding import EncodingModel, fit_encoding
from mindeye_cli.models.encoding_refits import Refits, permuted_spread

N, D, V = 80, 6, 9


def _fitted() -> tuple[np.ndarray, np.ndarray, np.ndarray, EncodingModel]:
    draw = np.random.default_rng(5)
    x = draw.standard_normal((N, D)).astype(np.float32)
    y = x @ draw.standard_normal((D, V)) + 2 * draw.standard_normal((N, V)) + 1
    y[:, :2] = draw.standard_normal((N, 2))
    counts = draw.integers(1, 4, N)
    return x, y.astype(np.float32), counts, fit_encoding(x, y.astype(np.float32), counts)


def _closed_form(x: np.ndarray, y: np.ndarray, counts: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Weighted ridge of every voxel with its own alpha by the normal equations; float64 (D, V)."""
    w = counts / counts.mean()
    z = x - w @ x / w.sum()
    gram = (z * w[:, None]).T @ z
    unit = np.linalg.eigvalsh(gram).mean()
    cross = (z * w[:, None]).T @ (y - w @ y / w.sum())
    solved = [
        np.linalg.solve(gram + a * unit * np.eye(D), cross[:, v]) for v, a in enumerate(alpha)
    ]
    return np.stack(solved, axis=1)


def test_permuted_refits_equal_fits_to_the_permuted_responses() -> None:
    x, y, counts, model = _fitted()
    refits = Refits.of(model, x, y, counts)
    direction = np.linspace(-1, 1, D, dtype=np.float32)
    _, permuted = refits.draw(direction, bootstrap=0, permuted=5, seed=1)
    orders = refits._orders(5, 1).numpy()
    for row, order in zip(permuted.numpy(), orders, strict=True):
        np.testing.assert_array_equal(counts[order], counts)
        moved = y[np.argsort(order)]  # response n takes the place of image order[n]
        expected = direction @ _closed_form(x, moved, counts, model.alpha.numpy())
        np.testing.assert_allclose(row, expected, atol=2e-3)


def test_bootstrap_spread_is_that_of_new_noise() -> None:
    """Against the standard deviation over fits to responses with noise drawn anew."""
    draw = np.random.default_rng(2)
    x = draw.standard_normal((300, D)).astype(np.float32)
    truth = draw.standard_normal((D, 1))
    counts = np.ones(300, dtype=np.int64)
    y = (x @ truth + draw.standard_normal((300, 40))).astype(np.float32)
    model = fit_encoding(x, y, counts)
    direction = np.ones(D, dtype=np.float32)
    deviations, _ = Refits.of(model, x, y, counts).draw(
        direction, bootstrap=400, permuted=0, seed=0
    )
    assert deviations.shape == (400, 40)
    assert torch.allclose(deviations.mean(dim=0), torch.zeros(40), atol=0.05)
    between = (direction @ model.weight.numpy()).std()
    np.testing.assert_allclose(float(deviations.std(dim=0).mean()), between, rtol=0.35)


def test_same_seed_same_refits() -> None:
    x, y, counts, model = _fitted()
    refits = Refits.of(model, x, y, counts)
    one = refits.draw(np.ones(D), bootstrap=3, permuted=3, seed=7)
    two = refits.draw(np.ones(D), bootstrap=3, permuted=3, seed=7)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_spread_over_all_orders_is_that_of_many_permuted_fits() -> None:
    x, y, _, model = _fitted()
    counts = np.ones(N, dtype=np.int64)
    model = fit_encoding(x, y, counts)
    refits = Refits.of(model, x, y, counts)
    contrasts = x[:2] - x.mean(axis=0)
    weights = torch.ones(N)
    found = permuted_spread(model, refits.scores, weights, refits.variance, contrasts).numpy()
    draw = np.random.default_rng(0)
    values = [
        contrasts @ _closed_form(x, y[draw.permutation(N)], counts, model.alpha.numpy())
        for _ in range(2000)
    ]
    np.testing.assert_allclose(found, np.std(values, axis=0), rtol=0.06)


def test_sums_over_voxels_are_those_of_the_voxels() -> None:
    x, y, counts, model = _fitted()
    refits = Refits.of(model, x, y, counts)
    readouts = tuple(torch.randn(4, V, generator=torch.Generator().manual_seed(k)) for k in (0, 1))
    direction = np.linspace(-1, 1, D, dtype=np.float32)
    whole = refits.draw(direction, bootstrap=5, permuted=6, seed=2)
    summed = refits.draw(direction, (readouts[0], readouts[1]), bootstrap=5, permuted=6, seed=2)
    for values, sums, weights in zip(whole, summed, readouts, strict=True):
        torch.testing.assert_close(sums, values @ weights.T, atol=1e-4, rtol=1e-3)
