"""Noise ceilings of averages over images with different numbers of repeats, by simulation."""

from __future__ import annotations

import numpy as np

from mindeye_cli.core.noise_ceiling import explainable_variance, ncsnr


def test_the_ceiling_is_the_squared_correlation_with_the_signal() -> None:
    """NSD's shared images of 37 sessions: 839 seen three times, 110 twice, 33 once."""
    draw = np.random.default_rng(0)
    repeats = np.repeat([3, 2, 1], [839, 110, 33])
    for snr in (0.3, 1.0):
        shares = []
        for _ in range(40):
            signal = snr * draw.standard_normal(len(repeats))
            seen = signal + draw.standard_normal(len(repeats)) / np.sqrt(repeats)
            shares.append(np.corrcoef(signal, seen)[0, 1] ** 2)
        expected = float(explainable_variance(np.array([snr]), repeats)[0])
        np.testing.assert_allclose(np.mean(shares), expected, atol=0.01)


def test_one_trial_and_three_as_in_the_data_manual() -> None:
    snr = np.array([0.5])
    np.testing.assert_allclose(explainable_variance(snr, [1]), 0.2)
    np.testing.assert_allclose(explainable_variance(snr, [3, 3]), 0.25 / (0.25 + 1 / 3))


def test_the_ratio_is_found_again_from_repeats() -> None:
    draw = np.random.default_rng(1)
    snr = 0.7
    noise = 1 / np.sqrt(1 + snr**2)
    trials = snr * noise * draw.standard_normal((20_000, 1)) + noise * draw.standard_normal(
        (20_000, 3)
    )
    found = ncsnr(np.array([trials.var(axis=1, ddof=1).mean()]))
    np.testing.assert_allclose(found, snr, rtol=0.02)
