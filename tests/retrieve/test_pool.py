"""Pool retrieval against a short numpy reference, ties and both directions included."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from mindeye_cli.core import retrieval_scores as scores
from mindeye_cli.retrieve.pool import draw_pools, score_direction


def reference(square: np.ndarray, k: int) -> tuple[float, float]:
    """Top-k and mean rank of rows -> columns, averaging over every order of tied candidates."""
    hits, ranks = [], []
    for row in range(len(square)):
        better = sum(1 for value in square[row] if value > square[row, row])
        same = sum(1 for value in square[row] if value == square[row, row])
        positions = [better + 1 + place for place in range(same)]
        hits.append(np.mean([position <= k for position in positions]))
        ranks.append(np.mean(positions))
    return float(np.mean(hits)), float(np.mean(ranks))


def noisy(n: int, seed: int, noise: float = 1.0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    truth = draw.standard_normal((n, 12))
    return scores.cosine(truth + noise * draw.standard_normal((n, 12)), truth)


@pytest.mark.parametrize("decimals", [1, 10])
@pytest.mark.parametrize("pool", [8, 40])
def test_both_directions_equal_the_reference(decimals: int, pool: int) -> None:
    square = np.round(noisy(40, 3), decimals)  # One decimal makes many ties.
    found = draw_pools(square, np.arange(40), pool, 6, seed=5)
    for direction, turned in (("image_retrieval", square), ("brain_retrieval", square.T)):
        draws = found[direction]
        result = score_direction(draws, seed=5)
        for k in scores.TOP:
            parts = [reference(turned[np.ix_(m, m)], k)[0] for m in draws.images]
            assert result[f"top{k}"] == pytest.approx(np.mean(parts))
        parts = [reference(turned[np.ix_(m, m)], 1)[1] for m in draws.images]
        assert result["mean_rank"] == pytest.approx(np.mean(parts))


def test_directions_are_not_exchanged() -> None:
    """One hub image attracts every brain row: image retrieval fails, brain retrieval does not."""
    square = np.eye(6)
    square[:, 2] = 2.0
    square[2, 2] = 3.0
    found = draw_pools(square, np.arange(6), 300, 30, seed=0)
    assert score_direction(found["image_retrieval"], 0)["top1"] == pytest.approx(1 / 6)
    assert score_direction(found["brain_retrieval"], 0)["top1"] == pytest.approx(1.0)


def test_pools_are_drawn_without_replacement_and_seeded() -> None:
    square = noisy(50, 1)
    first, again, other = (
        draw_pools(square, np.arange(50), 20, 30, seed)["image_retrieval"].images
        for seed in (0, 0, 1)
    )
    assert first.shape == (30, 20)
    assert all(len(set(members)) == 20 for members in first.tolist())
    assert (first == again).all()
    assert (first != other).any()


def test_a_pool_above_the_set_is_the_set_once() -> None:
    draws = draw_pools(noisy(10, 1), np.arange(10), 300, 30, 0)["image_retrieval"]
    assert draws.images.tolist() == [list(range(10))]


def test_a_constant_predictor_scores_chance_exactly() -> None:
    """Ties are neither won nor lost: every score equals chance, in value and permuted."""
    images = np.random.default_rng(0).standard_normal((25, 7))
    square = scores.cosine(np.ones((25, 7)), images)
    result = score_direction(draw_pools(square, np.arange(25), 10, 5, 0)["brain_retrieval"], 0)
    for name in ("top1", "top5", "mean_rank"):
        entry = result["scores"][name]
        assert entry["value"] == pytest.approx(entry["chance"])
        assert entry["permuted"]["mean"] == pytest.approx(entry["chance"])


def test_permuted_pairing_has_the_mean_of_chance() -> None:
    result = score_direction(
        draw_pools(noisy(60, 2, 0.5), np.arange(60), 20, 30, 0)["image_retrieval"], 0
    )
    assert result["top1"] > 0.5
    for name in ("top1", "top5", "top10", "mean_rank"):
        entry = result["scores"][name]
        low, high = entry["permuted"]["range95"]
        assert entry["permuted"]["permutations"] == 1000
        assert entry["permuted"]["mean"] == pytest.approx(entry["chance"], rel=0.05)
        assert low <= entry["chance"] <= high
        assert entry["permuted"]["p"] == pytest.approx(1 / 1001)
    assert result["chance"] == pytest.approx(1 / 20)
    low, high = result["ci95"]
    assert low < result["top1"] < high


def test_permuted_control_equals_permuting_before_drawing_pools() -> None:
    """The table of expectations over all pools agrees with real pools of a permuted pairing."""
    square = noisy(30, 4)
    above, tied = scores.all_places(square)
    cross = scores.pooled_top(above, tied, 30, 9, 5)
    order = np.random.default_rng(1).permutation(30)
    draws = draw_pools(square[order], np.arange(30), 9, 4000, 0)["image_retrieval"]
    measured = scores.expected_top(draws.above, draws.tied, 5).mean()
    assert measured == pytest.approx(cross[order, np.arange(30)].mean(), abs=0.01)


def test_pooled_top_is_a_hypergeometric_probability() -> None:
    above = np.array([0, 3, 19])
    expected = [scipy_stats.hypergeom(19, g, 6).cdf(1) for g in above]
    result = scores.pooled_top(above, np.zeros(3, dtype=np.int64), 20, 7, 2)
    np.testing.assert_allclose(result, expected)
    whole = scores.pooled_top(above, np.zeros(3, dtype=np.int64), 20, 20, 2)
    assert whole.tolist() == pytest.approx([1, 0, 0])


def test_all_places_equals_places_of_each_target() -> None:
    square = np.round(noisy(15, 8), 1)
    above, tied = scores.all_places(square)
    for target in range(15):
        one = scores.places(square, np.full(15, target))
        assert (one[0] == above[:, target]).all() and (one[1] == tied[:, target]).all()


def test_single_trials_are_drawn_one_an_image() -> None:
    draw = np.random.default_rng(0)
    truth = draw.standard_normal((20, 8))
    owner = np.repeat(np.arange(20), 3)
    square = scores.cosine(truth[owner] + 0.3 * draw.standard_normal((60, 8)), truth)
    draws = draw_pools(square, owner, 300, 7, 0)["image_retrieval"]
    assert draws.images.shape == (7, 20)
    assert draws.full.shape == (20, 20)
    assert score_direction(draws, 0)["top1"] > 0.8


def test_cosine_in_chunks_and_centred_equals_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "CHUNK_FEATURES", 5)
    draw = np.random.default_rng(0)
    a, b, c = draw.standard_normal((4, 3, 6)), draw.standard_normal((5, 3, 6)), draw.random((3, 6))
    x, y = (a - c).reshape(4, -1), (b - c).reshape(5, -1)
    expected = x @ y.T / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(y, axis=1)
    np.testing.assert_allclose(scores.cosine(a, b, c), expected, atol=1e-9)
    assert (scores.cosine(np.zeros((2, 6)), b[:, 0]) == 0).all()


def test_median_interval_equals_a_bootstrap_by_hand() -> None:
    """The weighted median of a resample is numpy's median of the repeated ranks."""
    draws = draw_pools(noisy(30, 6, 2.0), np.arange(30), 12, 5, 0)["image_retrieval"]
    entry = score_direction(draws, 0)["scores"]["median_rank"]
    ranks = scores.expected_rank(draws.above, draws.tied)
    draw = np.random.default_rng(9)
    medians = []
    for _ in range(2000):
        counts = np.bincount(draw.integers(0, 30, 30), minlength=30)
        medians.append(np.median(np.repeat(ranks.ravel(), counts[draws.images.ravel()])))
    np.testing.assert_allclose(entry["ci95"], np.quantile(medians, [0.02, 0.98]), atol=0.75)
    assert entry["value"] == np.median(ranks)
