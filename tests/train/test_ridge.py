"""The closed form against normal equations and explicit refits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg, stats

from mindeye_cli.core.sampler import rng
from mindeye_cli.models.ridge import (
    choose_alpha,
    coefficients,
    decompose,
    group_folds,
    heldout_errors,
)
from mindeye_cli.models.ridge_model import RidgeModel, fit
from mindeye_cli.train.cross_validate import leave_one_image_out, score


def normal_equations(x, y, weights, penalty):
    """Weighted ridge with a free intercept, straight from the definition."""
    w = weights / weights.sum()
    xc, yc = x - w @ x, y - w @ y
    root = np.sqrt(weights * (len(weights) / weights.sum()))[:, None]
    gram = (root * xc).T @ (root * xc) + penalty * np.eye(x.shape[1])
    solution = linalg.solve(gram, (root * xc).T @ (root * yc), assume_a="pos")
    return solution, w @ y - (w @ x) @ solution


@pytest.fixture
def problem():
    random = np.random.default_rng(3)
    x = random.standard_normal((17, 6)) + 2.0
    y = x @ random.standard_normal((6, 4)) + random.standard_normal((17, 4)) - 5.0
    return x, y, random.integers(1, 5, 17).astype(float)


@pytest.mark.parametrize("wide", [False, True])
def test_coefficients_solve_the_normal_equations(problem, wide):
    x, y, weights = problem
    if wide:
        x = np.random.default_rng(4).standard_normal((17, 40))
    basis = decompose(x, weights)
    alpha = np.array([0.01, 0.3, 1.0, 20.0])
    got, intercept = coefficients(basis, y, alpha)
    for column in range(4):
        want, offset = normal_equations(
            x, y[:, [column]], weights, alpha[column] * basis.alpha_unit
        )
        np.testing.assert_allclose(got[:, [column]], want, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(intercept[column], offset[0], rtol=1e-9)


def test_heldout_errors_equal_refits_of_every_fold(problem):
    x, y, weights = problem
    groups = np.array([0, 0, 0, 1, 1, 2, 3, 3, 4, 5, 5, 5, 6, 7, 7, 8, 8])
    basis = decompose(x, weights)
    weights = weights * (len(weights) / weights.sum())
    alphas = (0.05, 2.0)
    for folds in (0, 3):
        parts = group_folds(groups, folds, rng(0, "t").permutation(9))
        got = heldout_errors(basis, y, parts, alphas)
        for a, alpha in enumerate(alphas):
            want = np.zeros(4)
            for rows in parts:
                rest = np.setdiff1d(np.arange(17), rows)
                # The penalty stays the same number while rows leave.
                scale = weights[rest].sum() / len(rest)
                w, b = normal_equations(
                    x[rest], y[rest], weights[rest], alpha * basis.alpha_unit / scale
                )
                want += (weights[rows, None] * (y[rows] - x[rows] @ w - b) ** 2).sum(axis=0)
            np.testing.assert_allclose(got[a], want, rtol=1e-8)


def test_folds_never_split_an_image():
    groups = np.repeat(np.arange(11), 3)[np.random.default_rng(0).permutation(33)]
    folds = group_folds(groups, 4, rng(1, "t").permutation(11))
    assert sorted(np.concatenate(folds)) == list(range(33))
    images = [set(groups[rows]) for rows in folds]
    assert sum(len(some) for some in images) == 11
    assert len(group_folds(groups, 0, np.arange(11))) == 11


def test_alpha_per_target_or_shared():
    errors = np.array([[1.0, 9.0], [4.0, 2.0]])
    assert choose_alpha(errors, (0.1, 10.0), per_target=True).tolist() == [0.1, 10.0]
    assert choose_alpha(errors, (0.1, 10.0), per_target=False).tolist() == [10.0, 10.0]


def _fit(x, counts, y, whiten=False):
    return fit(
        x, counts, y, alphas=(0.01, 0.1, 1.0), per_target=True, folds=0, whiten=whiten, seed=0
    )


def test_whitened_model_predicts_targets_and_round_trips():
    random = np.random.default_rng(5)
    latent = random.standard_normal((60, 3))
    x = latent @ random.standard_normal((3, 12)) + 0.1 * random.standard_normal((60, 12))
    y = latent * [30.0, 1.0, 0.1] @ random.standard_normal((3, 8)) + 7.0
    model = _fit(x, np.ones(60, np.int64), y, whiten=True)
    assert model.whitening is not None
    z = model.whitening.forward(y)
    np.testing.assert_allclose(z.std(axis=0), 1.0, rtol=1e-6)
    np.testing.assert_allclose(model.whitening.backward(z), y, atol=1e-6)
    predicted = model.predict(x.astype(np.float32))
    assert stats.pearsonr(predicted.ravel(), y.ravel()).statistic > 0.99
    again = RidgeModel.from_tensors(model.tensors())
    np.testing.assert_array_equal(again.predict(x.astype(np.float32)), predicted)


def test_leaving_out_is_honest():
    """Targets independent of the responses are identified at chance, never through themselves."""
    random = np.random.default_rng(6)
    x = random.standard_normal((30, 50)).astype(np.float32)
    y = random.standard_normal((30, 40)).astype(np.float32)
    counts = np.ones(30, np.int64)
    predicted = leave_one_image_out(x, counts, y, _fit)
    changed = y.copy()
    changed[4] += 100.0
    again = leave_one_image_out(x, counts, changed, _fit)
    np.testing.assert_array_equal(again[4], predicted[4])
    assert score(predicted, y, 0)["pairwise"]["value"] < 0.65


def test_score_matches_a_loop_and_permutes_to_one_half():
    random = np.random.default_rng(7)
    y = random.standard_normal((20, 30)).astype(np.float32)
    predicted = y + 2.5 * random.standard_normal(y.shape).astype(np.float32)
    wins = [
        stats.pearsonr(predicted[j], y[i]).statistic < stats.pearsonr(predicted[j], y[j]).statistic
        for j in range(20)
        for i in range(20)
        if i != j
    ]
    found = score(predicted, y, 0)
    assert found["pairwise"]["value"] == pytest.approx(np.mean(wins))
    low, high = found["pairwise"]["ci95"]
    assert low < found["pairwise"]["value"] < high
    assert found["pairwise"]["permuted"]["mean"] == pytest.approx(0.5, abs=0.01)
    assert found["pairwise"]["permuted"]["permutations"] == 1000
