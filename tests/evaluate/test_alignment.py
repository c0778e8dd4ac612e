"""Misaligned rows are recognised, and aligned or ignorant pictures are not accused."""

from __future__ import annotations

import numpy as np
import pytest

from mindeye_cli.evaluate.alignment import Alignment, permutation_moments


def codes(
    noise: float, order: np.ndarray | None = None, n: int = 40, seed: int = 0, trials: int = 1
) -> list[str]:
    """Warnings for pictures whose features are noisy ones of the stimuli in some order."""
    draw = np.random.default_rng(seed)
    truth = draw.standard_normal((n, 20))
    order = np.arange(n) if order is None else order
    images = np.repeat(np.arange(n), trials)
    guess = truth[order][images] + noise * draw.standard_normal((n * trials, 20))
    ids = tuple(f"img{k}" for k in images)
    groups = np.unique(np.array(ids), return_inverse=True)[1]
    found = Alignment(ids)
    for part in (slice(0, 10), slice(10, 20)):
        sides = [side[:, part] for side in (truth[images], guess)]
        unit = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in sides]
        cross = unit[0] @ unit[1].T
        found.add(f"features {part.start}", -cross, groups, higher=False)
    return [item["code"] for item in found.warnings()]


def test_aligned_pictures_are_not_accused_good_or_bad() -> None:
    for noise in (0.5, 3.0):
        for seed in range(10):
            assert codes(noise, seed=seed) == []


def test_pictures_that_know_nothing_are_at_the_permuted_level_and_not_accused() -> None:
    found = [codes(1000.0, seed=seed) for seed in range(60)]
    assert set(sum(found, [])) == {"permuted-level"}
    assert sum(not item for item in found) <= 9  # 5 % by luck


@pytest.mark.parametrize("shift", [1, -1, 7])
@pytest.mark.parametrize("trials", [1, 3])
def test_shifted_rows_are_found(shift: int, trials: int) -> None:
    assert codes(1.0, np.roll(np.arange(40), shift), trials=trials) == ["rows-shifted"]


def test_reversed_and_resorted_rows_are_found() -> None:
    assert codes(1.0, np.arange(40)[::-1]) == ["rows-shifted"]
    by_text = np.argsort([f"img{k}" for k in range(40)])
    assert codes(1.0, by_text) == ["rows-shifted"]


def test_rows_in_an_unknown_order_are_found_where_pictures_are_good() -> None:
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(40)
        assert codes(0.3, order, seed=seed) == ["rows-scrambled"]
        # Poor pictures in a wrong order look like pictures that know nothing.
        assert codes(3.0, order, seed=seed) in (["permuted-level"], [])


def test_a_few_images_say_nothing() -> None:
    assert codes(1.0, np.roll(np.arange(6), 1), n=6) == []


def test_moments_are_those_of_all_permutations() -> None:
    scores = np.random.default_rng(0).random((6, 6))
    from itertools import permutations

    means = [np.mean([scores[p[j], j] for j in range(6)]) for p in permutations(range(6))]
    assert permutation_moments(scores) == pytest.approx((np.mean(means), np.std(means)))
