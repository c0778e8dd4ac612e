"""Identification by double loops, and simple statistics by scipy, scikit-image and numpy."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from evaluate.folders import noisy, stimuli
from scipy import ndimage
from scipy.stats import norm
from skimage.metrics import normalized_mutual_information

from mindeye_cli.evaluate.metrics import METRICS
from mindeye_cli.evaluate.metrics import identification as ways
from mindeye_cli.evaluate.metrics.correlation import pearson_matrix, pearson_rows
from mindeye_cli.evaluate.metrics.twoway import two_way
from mindeye_cli.evaluate.pictures import Pictures

GREY = np.array([0.2125, 0.7154, 0.0721])


def drawn(n: int, repeated: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Stimuli, reconstructions, groups, correlations by numpy."""
    draw = np.random.default_rng(n)
    truth = draw.normal(size=(n, 30))
    groups = np.arange(n) // 2 if repeated else np.arange(n)
    truth = truth[groups * (2 if repeated else 1)]
    guess = truth + draw.normal(0, 2.5, size=truth.shape)
    return truth, guess, groups, np.corrcoef(truth, guess)[:n, n:]


def lost(r: np.ndarray, groups: np.ndarray, i: int, j: int) -> list[bool]:
    """Of each distractor of stimulus i, whether it loses for reconstruction j."""
    return [r[k, j] < r[i, j] for k in range(len(r)) if groups[k] != groups[i]]


def test_two_way_by_a_double_loop_for_every_pairing() -> None:
    for repeated in (False, True):
        truth, guess, groups, r = drawn(12, repeated)
        found = two_way(truth, guess, groups, cross=True)
        assert found.cross is not None
        for i in range(12):
            for j in range(12):
                if groups[i] == groups[j] or i == j:
                    continue
                assert found.cross[i, j] == np.mean(lost(r, groups, i, j))
        own = [np.mean(lost(r, groups, j, j)) for j in range(12)]
        np.testing.assert_allclose(found.per_entry, own, atol=1e-12)
        np.testing.assert_allclose(np.diagonal(found.cross), own, atol=1e-12)


def test_n_way_is_the_mean_over_all_draws() -> None:
    truth, guess, groups, r = drawn(9)
    counts = ways.beaten(pearson_matrix(truth, guess), groups, cross=True)
    for drawn_ways in (2, 4):
        found = ways.n_way(drawn_ways)(counts)
        for j in range(9):
            wins = lost(r, groups, j, j)
            won = np.mean([all(chosen) for chosen in combinations(wins, drawn_ways - 1)])
            assert abs(found.per_entry[j] - won) < 1e-12
        np.testing.assert_allclose(np.diagonal(found.cross), found.per_entry)
    first, place = ways.first_of_all(counts), ways.rank(counts)
    for j in range(9):
        wins = lost(r, groups, j, j)
        assert first.per_entry[j] == all(wins)
        assert place.per_entry[j] == 1 + len(wins) - sum(wins)
    assert np.isnan(ways.n_way(50)(counts).per_entry).all()


def test_hard_two_way_compares_with_the_nearest_stimuli() -> None:
    truth, guess, groups, r = drawn(15)
    likeness = np.corrcoef(truth)
    found = ways.hard_two_way(truth, pearson_matrix(truth, guess), groups, cross=True)
    assert found.cross is not None
    for i in range(15):
        others = [k for k in range(15) if k != i]
        near = sorted(others, key=lambda k: -likeness[i, k])[: ways.NEAREST]
        assert abs(found.per_entry[i] - np.mean([r[k, i] < r[i, i] for k in near])) < 1e-12
        j = (i + 1) % 15
        assert abs(found.cross[i, j] - np.mean([r[k, j] < r[i, j] for k in near])) < 1e-12


def test_d_prime_is_the_two_alternative_one() -> None:
    share = norm.cdf(1.3 / np.sqrt(2))
    assert abs(ways.d_prime(share, 100) - 1.3) < 1e-9
    assert np.isfinite(ways.d_prime(1.0, 100)) and ways.d_prime(0.5, 10) == 0


def test_constant_rows_are_undefined_and_wide_rows_are_read_in_blocks(monkeypatch) -> None:
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(4, 1000)).astype(np.float32)
    rows[2] = 0.7
    monkeypatch.setattr("mindeye_cli.evaluate.metrics.correlation.BLOCK", 100)
    r = pearson_matrix(rows, rows[::-1])
    kept = [0, 1, 3]
    expected = np.corrcoef(rows[kept].astype(float))
    np.testing.assert_allclose(r[:, ::-1][np.ix_(kept, kept)], expected, atol=1e-12)
    assert np.isnan(r[2]).all() and np.isnan(pearson_rows(rows, rows)[2])


def grey(pixels: np.ndarray) -> np.ndarray:
    return (pixels / 255) @ GREY


def test_simple_statistics_equal_their_definitions() -> None:
    """At each metric's own size, so that no resize stands between."""
    for name, side in (("nmi", 64), ("colours", 64), ("edges", 128)):
        pixels = [
            np.stack(list(s.values())) for s in (stimuli(3, side), noisy(stimuli(3, side), 60))
        ]
        one, two = (Pictures(ids=("a", "b", "c"), pixels=p) for p in pixels)
        table = METRICS[name].compute(one, two, True)
        alone = METRICS[name].compute(one, two, False).per_entry
        np.testing.assert_allclose(alone, table.per_entry, atol=1e-6)
        for i in range(3):
            for j in range(3):
                expected = ORACLES[name](pixels[0][i], pixels[1][j])
                assert abs(table.cross[i, j] - expected) < 1e-4, name


def nmi(x: np.ndarray, y: np.ndarray) -> float:
    bins = [np.floor(grey(p) * 16).clip(0, 15) for p in (x, y)]
    joint = [b.astype(int) for b in bins]
    return float(normalized_mutual_information(*joint, bins=256))


def colour_histograms(x: np.ndarray, y: np.ndarray) -> float:
    edges = [np.linspace(0, 1, 9)] * 3
    counts = [np.histogramdd(p.reshape(-1, 3) / 255, bins=edges)[0].ravel() for p in (x, y)]
    return float(np.corrcoef(*counts)[0, 1])


def sobel(x: np.ndarray, y: np.ndarray) -> float:
    along = np.outer([1, 2, 1], [-1, 0, 1])
    maps = [
        np.sqrt(sum(ndimage.correlate(grey(p), k, mode="nearest") ** 2 for k in (along, along.T)))
        for p in (x, y)
    ]
    return float(np.corrcoef(maps[0].ravel(), maps[1].ravel())[0, 1])


ORACLES = {"nmi": nmi, "colours": colour_histograms, "edges": sobel}
