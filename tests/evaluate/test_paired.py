"""Paired comparison, Holm's correction and the crossed interval, against loops and theory."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as theory

from mindeye_cli.core import paired


def test_identical_systems_differ_by_nothing() -> None:
    found = paired.compare_means(np.zeros(20), 0)
    assert (found.difference, found.ci95, found.p, found.sign_p) == (0.0, (0.0, 0.0), 1.0, 1.0)


def test_p_is_uniform_between_equals_and_small_between_others() -> None:
    draw = np.random.default_rng(4)
    p = [paired.compare_means(draw.normal(0, 1, 40), 0).p for _ in range(200)]
    assert theory.kstest(p, "uniform").pvalue > 0.01
    assert paired.compare_means(draw.normal(2, 1, 40), 0).p < 0.002


@pytest.mark.parametrize("n", [4, 30])
def test_p_and_interval_agree_with_a_t_test(n: int) -> None:
    values = np.random.default_rng(n).normal(0.3, 1.0, n)
    found, known = paired.compare_means(values, 0), theory.ttest_1samp(values, 0.0)
    assert found.p == pytest.approx(known.pvalue, abs=0.05)
    assert found.ci95 == pytest.approx(tuple(known.confidence_interval()), abs=0.2)
    assert (found.p < 0.05) == (not found.ci95[0] <= 0 <= found.ci95[1])


def test_sign_test_leaves_ties_out() -> None:
    values = np.array([1.0, 2.0, 0.0, 0.0, 3.0, -1.0])
    assert paired.sign_test(values) == theory.binomtest(3, 4).pvalue


def test_holm_by_its_definition() -> None:
    p = {"a": 0.01, "b": 0.04, "c": 0.03, "d": float("nan")}
    found = paired.holm(p)
    assert (found["a"], found["c"], found["b"]) == pytest.approx((0.03, 0.06, 0.06))
    assert np.isnan(found["d"])


def test_subjects_are_resampled_with_images_when_there_are_eight() -> None:
    """With equal images the interval comes from the subjects alone, and the other way round."""
    draw = np.random.default_rng(0)
    people = draw.normal(0, 1, 12)
    rows = [np.full(300, value) for value in people]
    low, high = paired.compare_crossed(rows, 0).ci95
    half = theory.t.ppf(0.975, 11) * theory.sem(people)
    assert (high - low) / 2 == pytest.approx(half, rel=0.15)
    images = draw.normal(0, 1, 60)
    low, high = paired.compare_crossed([images] * 60, 0).ci95
    half = theory.t.ppf(0.975, 59) * theory.sem(images)
    assert (high - low) / 2 == pytest.approx(half, rel=0.15)
    assert np.isnan(paired.compare_crossed(rows[:7], 0).ci95).all()
