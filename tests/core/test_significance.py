"""p and q values, and the share of variance that is signal, against scipy and simulation."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mindeye_cli.core.noise_ceiling import explainable_variance
from mindeye_cli.core.significance import fdr, two_sided


def test_two_sided_equals_scipy() -> None:
    z = np.array([0, 1.96, -1.96, 0.1, -4, 12, -37], dtype=np.float32)
    found = two_sided(z)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, 2 * stats.norm.sf(np.abs(z.astype(np.float64))), rtol=1e-10)
    assert found[0] == 1 and (found > 0).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 60))
def test_fdr_is_the_step_up_procedure(seed: int, count: int) -> None:
    """Against the definition: q_(i) = min over j >= i of p_(j) m / j."""
    p = np.random.default_rng(seed).beta(0.5, 1, (3, count))
    order = np.argsort(p, axis=1)
    ranked = np.take_along_axis(p, order, axis=1) * count / np.arange(1, count + 1)
    running = np.minimum.accumulate(ranked[:, ::-1], axis=1)[:, ::-1]
    expected = np.empty_like(p)
    np.put_along_axis(expected, order, np.minimum(running, 1), axis=1)
    np.testing.assert_allclose(fdr(p), expected, rtol=1e-5)
    np.testing.assert_allclose(fdr(p[0]), stats.false_discovery_control(p[0]), rtol=1e-5)


def test_fdr_of_noise_names_few() -> None:
    p = two_sided(np.random.default_rng(0).standard_normal((400, 200)))
    named = (fdr(p) < 0.05).any(axis=1).mean()
    assert named < 0.09


def test_explainable_variance_of_mixed_repeats() -> None:
    """NSD's formula: 1/n becomes (A/3 + B/2 + C/1) / (A + B + C)."""
    snr = np.array([0.0, 0.2, 0.7, 3.0])
    a, b, c = 5, 3, 2
    counts = [3] * a + [2] * b + [1] * c
    noise = (a / 3 + b / 2 + c) / (a + b + c)
    np.testing.assert_allclose(explainable_variance(snr, counts), snr**2 / (snr**2 + noise))
    assert explainable_variance(snr, counts)[0] == 0
