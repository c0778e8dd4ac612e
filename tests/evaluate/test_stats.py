"""Intervals and permutation controls against theory and plain loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats as theory

from mindeye_cli.core import stats
from mindeye_cli.core.shares import IN_PAIRS, pseudo_values, skew_shift, tail_shift, wilson


def coverage(sample: Callable[[int], np.ndarray], truth: float, n: int, **more: Any) -> float:
    """How often the interval of a mean of n values holds the true mean, of 500."""
    groups, hits = np.arange(n), 0
    for _ in range(500):
        low, high = stats.mean_interval(sample(n), groups, 0, **more)
        hits += low <= truth <= high
    return hits / 500


@pytest.mark.parametrize("n", [20, 100])
def test_interval_of_a_mean_covers_the_truth(n: int) -> None:
    draw = np.random.default_rng(n)
    assert 0.925 <= coverage(draw.standard_normal, 0.0, n) <= 0.975
    assert 0.925 <= coverage(lambda k: draw.gamma(4.0, size=k), 4.0, n) <= 0.975
    hits = coverage(lambda k: (draw.random(k) < 0.8).astype(float), 0.8, n, bounds=stats.SHARE)
    assert 0.92 <= hits <= 0.98


@pytest.mark.parametrize("noise", [4.0, 1.5, 0.8])
def test_two_way_interval_covers_the_truth_at_n_20(noise: float) -> None:
    """Wins of a model with additive noise; the truth by a large simulation."""
    draw = np.random.default_rng(0)

    def wins(n: int) -> np.ndarray:
        truth = draw.standard_normal((n, 6))
        guess = truth + noise * draw.standard_normal((n, 6))
        r = truth @ guess.T
        return (r < np.diagonal(r)[None, :]).astype(float)

    expected = wins(3000).sum() / (3000 * 2999)
    intervals = [stats.pair_interval(wins(20), np.arange(20)) for _ in range(500)]
    hits = np.mean([low <= expected <= high for low, high in intervals])
    assert 0.92 <= hits <= 0.99


def test_a_perfect_two_way_score_of_20_images_reaches_1_but_is_not_certain() -> None:
    low, high = stats.pair_interval(1.0 - np.eye(20), np.arange(20))
    # 14 % of images may be lost and 20 without one be drawn, p = .05; each wins half its pairs.
    share_lost = 1 - 0.05 ** (1 / 20)
    assert high == 1.0 and low == pytest.approx(1 - share_lost / 2, abs=0.01)
    assert stats.pair_interval(np.zeros((20, 20)), np.arange(20)) == pytest.approx((0, 1 - low))


def test_pseudo_values_are_those_of_leaving_each_image_out() -> None:
    draw = np.random.default_rng(1)
    wins = (draw.random((9, 9)) < 0.7).astype(float)
    wins[:, 4] = np.nan
    groups = np.array([0, 0, 1, 2, 3, 3, 4, 5, 5])

    def score(kept: np.ndarray) -> float:
        pairs = [(i, j) for i in kept for j in kept if groups[i] != groups[j]]
        return float(np.nanmean([wins[i, j] for i, j in pairs]))

    whole = score(np.arange(9))
    expected = [6 * whole - 5 * score(np.flatnonzero(groups != image)) for image in range(6)]
    np.testing.assert_allclose(pseudo_values(wins, groups), expected)


def test_the_longer_tail_reaches_further_by_johnsons_term() -> None:
    values = np.random.default_rng(3).gamma(1.0, size=30)
    t = theory.t.ppf(0.975, 29)
    wanted = theory.sem(values) * theory.skew(values) * (1 + 2 * t**2) / (6 * np.sqrt(30))
    assert skew_shift(values) == pytest.approx(wanted)
    assert skew_shift(-values) == pytest.approx(-wanted)
    assert skew_shift(np.ones(5)) == 0
    # Six steps of it at the ends with 20 images, fewer with more images and towards one half.
    assert tail_shift(1.0, values) == pytest.approx(6 * (20 / 30) ** 0.25 * wanted)
    assert tail_shift(0.1, values) == pytest.approx(0.8**10 * tail_shift(1.0, values))
    assert tail_shift(0.5, values) == 0


@pytest.mark.parametrize(
    ("n", "targets", "each", "expected"),
    [
        (20, 1, 1, (0.95531, 0.99971)),
        (20, 1, 10, (0.83022, 0.99359)),
        (100, 1, 99, (0.95721, 0.99749)),
        (982, 20, 490, (0.98327, 0.9934)),
    ],
)
def test_limits_of_known_losses(
    n: int, targets: int, each: int, expected: tuple[float, float]
) -> None:
    """As the fitted numbers give them; `benchmarks/coverage.py` says how often they hold."""
    wins = np.ones((n, n))
    for target in range(targets):
        wins[np.flatnonzero(np.arange(n) != target)[:each], target] = 0.0
    assert stats.pair_interval(wins, np.arange(n)) == pytest.approx(expected, abs=1e-5)


def test_lost_images_are_counted_as_events_are() -> None:
    """20 of 982 images by luck alone: Poisson limits of 20, each worth half an image's pairs."""
    draw = np.random.default_rng(0)
    wins = np.ones((982, 982))
    wins[:, :20] = draw.random((982, 20)) < 0.5
    low, high = stats.pair_interval(wins, np.arange(982))
    known = theory.chi2.ppf([0.025, 0.975], [40, 42]) / 2
    np.testing.assert_allclose([1 - low, 1 - high], known[::-1] / 2 / 982, rtol=0.15)


def test_images_that_lose_much_widen_the_lower_limit_alone() -> None:
    wins = np.ones((40, 40))
    wins[::2, :2] = 0.0
    pseudo = pseudo_values(wins, np.arange(40))
    plain = wilson(float(pseudo.mean()), float(theory.sem(pseudo)), 40, IN_PAIRS)
    low, high = stats.pair_interval(wins, np.arange(40))
    assert low < plain[0]
    assert high == plain[1]
    # Never further than where each image counts for one and a half.
    units, t = 60.0, theory.t.ppf(0.975, 39)
    level = 1 - 2 * theory.norm.sf(t)
    widest = _wilson(float(pseudo.mean()), units, level)
    assert low >= widest - 1e-12


def _wilson(share: float, units: float, level: float) -> float:
    """The lower end of Wilson's score interval, by its defining equation."""
    z = theory.norm.ppf((1 + level) / 2)
    low, high = 0.0, share
    for _ in range(60):
        middle = (low + high) / 2
        if (share - middle) > z * np.sqrt(middle * (1 - middle) / units):
            low = middle
        else:
            high = middle
    return low


def test_wilson_limits_of_plain_hits_are_those_of_the_formula() -> None:
    """Hits of single images: scipy's Wilson interval with the same number and quantile."""
    hits, n = np.r_[np.ones(15), np.zeros(5)], 20
    t = theory.t.ppf(0.975, n - 1)
    level = 1 - 2 * theory.norm.sf(t)
    known = theory.binomtest(15, 20).proportion_ci(level, "wilson")
    error = hits.std(ddof=0) / np.sqrt(n)  # the effective number is then n
    assert wilson(0.75, error, n) == pytest.approx((known.low, known.high))
    low, high = stats.mean_interval(hits, np.arange(n), 0, stats.SHARE)
    assert low == pytest.approx(known.low, abs=0.01) and high == pytest.approx(known.high, abs=0.01)


def test_bootstrap_t_equals_a_loop_over_resamples() -> None:
    values = np.random.default_rng(2).gamma(2.0, size=12)
    t = []
    for counts in stats.image_weights(np.arange(12), 3).astype(int):
        chosen = np.repeat(values, counts)
        if chosen.std() > 0:
            t.append((chosen.mean() - values.mean()) / (chosen.std() / np.sqrt(11)))
    error = values.std(ddof=1) / np.sqrt(12)
    expected = values.mean() - error * np.quantile(t, [0.975, 0.025])
    assert stats.mean_interval(values, np.arange(12), 3) == pytest.approx(tuple(expected))


def test_few_images_have_students_interval_and_equal_ones_none() -> None:
    values = np.array([0.2, 0.5, 0.4, 0.9])
    known = theory.t.interval(0.95, 3, values.mean(), theory.sem(values))
    assert stats.mean_interval(values, np.arange(4), 0) == pytest.approx(known)
    assert stats.mean_interval(values, np.arange(4), 0, (-1.0, 0.9))[1] == 0.9
    assert stats.mean_interval(np.full(9, 0.3), np.arange(9), 0) == pytest.approx((0.3, 0.3))


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
    known = values[np.isfinite(values)]
    assert (low, high) == pytest.approx(theory.t.interval(0.95, 2, 0.4, theory.sem(known)))
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
