"""Intervals and permutation controls against theory and plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from mindeye_cli.core import stats


def coverage(n: int, runs: int, draw: np.random.Generator) -> float:
    """How often the interval of a mean of n skewed values holds the true mean."""
    groups = np.arange(n)
    weights = stats.image_weights(groups, 0)
    hits = 0
    for _ in range(runs):
        values = draw.gamma(4.0, size=n)
        low, high = stats.interval(weights @ values / n, n)
        hits += low <= 4.0 <= high
    return hits / runs


@pytest.mark.parametrize("n", [20, 100])
def test_interval_of_a_mean_covers_the_truth(n: int) -> None:
    assert 0.92 <= coverage(n, 600, np.random.default_rng(n)) <= 0.98


def test_interval_of_normal_values_at_n_20_is_not_too_narrow() -> None:
    draw = np.random.default_rng(5)
    weights = stats.image_weights(np.arange(20), 0)
    hits = 0
    for _ in range(600):
        low, high = stats.interval(weights @ draw.standard_normal(20) / 20, 20)
        hits += low <= 0 <= high
    assert 0.93 <= hits / 600 <= 0.975


def test_two_way_interval_covers_the_truth_at_n_20() -> None:
    """Wins of a model with additive noise on one feature; the truth by a large simulation."""
    draw = np.random.default_rng(0)

    def wins(n: int) -> np.ndarray:
        truth = draw.standard_normal((n, 6))
        guess = truth + 1.5 * draw.standard_normal((n, 6))
        r = truth @ guess.T
        return (r < np.diagonal(r)[None, :]).astype(float)

    big = wins(3000)
    expected = big.sum() / (3000 * 2999)
    hits = 0
    for _ in range(300):
        low, high = stats.pair_interval(wins(20), np.arange(20), 0)
        hits += low <= expected <= high
    assert 0.92 <= hits / 300 <= 0.98


def test_a_perfect_two_way_score_keeps_its_value_in_every_resample() -> None:
    wins = 1.0 - np.eye(20)
    assert stats.pair_interval(wins, np.arange(20), 0) == (1.0, 1.0)


def test_pair_interval_equals_a_loop_over_resamples() -> None:
    draw = np.random.default_rng(1)
    wins = draw.random((7, 7))
    weights = stats.image_weights(np.arange(7), 3, draws=50)
    expected = []
    for counts in weights.astype(int):
        chosen = np.repeat(np.arange(7), counts)
        pairs = [wins[i, j] for i in chosen for j in chosen if i != j]
        expected.append(np.mean(pairs) if pairs else np.nan)
    full = stats.pair_interval(wins, np.arange(7), 3)
    again = stats.interval(np.asarray(expected), 7)
    assert full == pytest.approx(again, abs=0.1)
    weighted = [(w @ (wins * (1 - np.eye(7))) @ w) / (w.sum() ** 2 - w @ w) for w in weights]
    np.testing.assert_allclose(weighted, expected)


def test_entries_of_one_image_are_drawn_together() -> None:
    weights = stats.image_weights(np.array([0, 0, 1, 2, 2, 2]), 0, draws=20)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()


def test_intervals_are_a_function_of_the_seed() -> None:
    values, groups = np.random.default_rng(0).random(12), np.arange(12)
    assert stats.mean_interval(values, groups, 1) == stats.mean_interval(values, groups, 1)
    assert stats.mean_interval(values, groups, 1) != stats.mean_interval(values, groups, 2)


def test_undefined_values_are_left_out_and_one_image_has_no_interval() -> None:
    values = np.array([0.2, np.nan, 0.4, 0.6])
    low, high = stats.mean_interval(values, np.arange(4), 0)
    assert 0.2 <= low <= high <= 0.6
    assert np.isnan(stats.mean_interval(np.array([0.2]), np.array([0]), 0)).all()
    assert np.isnan(stats.mean_interval(np.array([np.nan]), np.array([0]), 0)).all()


def test_permuted_pairings_have_the_mean_of_all_pairs() -> None:
    cross = np.random.default_rng(0).random((9, 9))
    means = stats.permuted_entries(cross, 0, draws=4000).mean(axis=1)
    assert means.mean() == pytest.approx(cross.mean(), abs=0.005)
    result = stats.summarise(means, 10.0, higher=True)
    assert result.p == pytest.approx(1 / 4001)
    low, high = result.range95
    assert np.mean((means >= low) & (means <= high)) == pytest.approx(0.95, abs=0.01)
    assert stats.summarise(means, 10.0, higher=False).p == 1.0


def test_nothing_defined_is_nothing_permuted() -> None:
    result = stats.summarise(np.full(5, np.nan), 0.0, higher=True)
    assert result.permutations == 0 and np.isnan(result.mean)
