"""The written responses carry the stated signal, noise and tuning."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from mindeye_cli.simulate.run import simulate
from mindeye_cli.simulate.settings import SimulateConfig

from .conftest import Files


def ncsnr_by_definition(trials: np.ndarray, order: np.ndarray) -> np.ndarray:
    """NSD's formula, picture by picture and voxel by voxel."""
    ratios = np.empty(trials.shape[1])
    pictures, counts = np.unique(order, return_counts=True)
    rows = [np.flatnonzero(order == picture) for picture in pictures[counts == 3]]
    for voxel in range(trials.shape[1]):
        total = 0.0
        for where in rows:
            values = trials[where, voxel]
            total += ((values - values.mean()) ** 2).sum() / 2
        variance = total / len(rows)
        ratios[voxel] = np.sqrt(max(0.0, 1 - variance)) / np.sqrt(variance)
    return ratios


def ceiling(files: Files) -> np.ndarray:
    """Single-trial noise ceiling of the written betas, as a share of the variance."""
    pictures, counts = np.unique(files.order, return_counts=True)
    rows = np.array([np.flatnonzero(files.order == p) for p in pictures[counts == 3]])
    variance = files.zscored[rows].var(1, ddof=1).mean(0)
    return np.maximum(0, 1 - variance)


def mean_response(files: Files) -> np.ndarray:
    """Mean z-scored beta of every picture, in the order of 10k numbers."""
    pictures = np.unique(files.order)
    return np.stack([files.zscored[files.order == picture].mean(0) for picture in pictures])


def columnwise(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlation of matching columns."""
    a, b = a - a.mean(0), b - b.mean(0)
    return (a * b).sum(0) / np.sqrt((a**2).sum(0) * (b**2).sum(0))


def test_ncsnr_file_follows_nsds_formula(files: Files) -> None:
    stored = nibabel.load(files.betas_folder / "ncsnr.nii.gz").get_fdata()[files.mask]
    alive = files.truth["dead"] == 0
    expected = ncsnr_by_definition(files.zscored[:, alive], files.order)
    assert np.allclose(stored[alive], expected, atol=1e-4)
    assert not stored[~alive].any()


def test_ceilings_are_in_their_bands(default: Files) -> None:
    measured = ceiling(default)
    assert 0.20 <= np.median(measured[default.tuned("gabor")]) <= 0.25
    for drive in ("category", "place", "surface"):
        assert 0.08 <= np.median(measured[default.tuned(drive)]) <= 0.15
    untuned = ~default.truth["tuned"] & (default.truth["dead"] == 0)
    assert np.median(measured[untuned]) < 0.02


def test_enough_voxels_are_untuned(default: Files) -> None:
    assert 0.30 <= 1 - default.truth["tuned"].mean() <= 0.40


def test_mean_responses_follow_the_truth(default: Files) -> None:
    """The correlation of a mean of three is the square root of its noise ceiling."""
    measured = mean_response(default)
    for drive in ("gabor", "colour", "place", "surface", "category"):
        voxels = default.tuned(drive)
        amplitude = default.truth["amplitude"][voxels]
        expected = np.sqrt(amplitude**2 / (amplitude**2 + 1 / 3))
        found = columnwise(measured[:, voxels], default.truth["response"][:, voxels])
        assert abs(np.median(found - expected)) < 0.03
        assert np.median(np.abs(found - expected)) < 0.06


def test_noise_is_shared_as_stated(default: Files) -> None:
    """What is left after the signal covaries between areas as the factors say."""
    truth, names = default.truth, np.array(default.names["areas"])[default.truth["area"]]
    alive = truth["dead"] == 0
    signal = np.concatenate(
        [
            (betas - betas.mean(0)) / (truth["scale"] * gain) - truth["response"][shown - 1]
            for betas, gain, shown in zip(
                default.sessions,
                truth["gain"],
                np.split(default.order, len(default.sessions)),
                strict=True,
            )
        ]
    )
    first, second = alive & np.isin(names, ["parietal"]), alive & np.isin(names, ["FFA-1", "FFA-2"])
    noise = signal - signal.mean(0)
    found = noise[:, first].T @ noise[:, second] / len(noise)
    expected = truth["loadings"][:, first].T @ truth["loadings"][:, second]
    slope = (found * expected).sum() / (expected**2).sum()
    assert slope == pytest.approx(1, abs=0.1)
    # Coupled to FFA, an area without signal carries more of its noise than a lone one does.
    lone = alive & (names == "lateral")
    apart = np.abs(noise[:, lone].T @ noise[:, second] / len(noise))
    assert np.abs(found).mean() > 1.5 * apart.mean()
    assert not truth["tuned"][first].any()
    shares = (truth["loadings"] ** 2).sum(0)
    assert np.allclose(shares, 0.40, atol=1e-5)
    assert np.median(noise.var(0)[alive]) == pytest.approx(1, abs=0.06)


def test_private_noise_is_smooth_in_space(default: Files) -> None:
    truth = default.truth
    alive = np.flatnonzero(~truth["tuned"] & (truth["dead"] == 0))
    noise = default.zscored[:, alive]
    factors = truth["loadings"][:, alive]
    covariance = np.corrcoef(noise.T) - factors.T @ factors
    place = truth["ijk"][alive].astype(float)
    distance = np.sqrt(((place[:, None] - place) ** 2).sum(-1))
    assert covariance[(distance > 0) & (distance < 1.1)].mean() > 0.1
    assert abs(covariance[distance > 6].mean()) < 0.03


def test_gain_differs_between_sessions(default: Files) -> None:
    untuned = ~default.truth["tuned"] & (default.truth["dead"] == 0)
    spread = np.array(
        [betas.std(0)[untuned] / default.truth["scale"][untuned] for betas in default.sessions]
    )
    assert np.ptp(np.median(spread, axis=1)) > 0.03
    gain = np.median(default.truth["gain"], axis=1)
    assert np.corrcoef(np.median(spread, axis=1), gain)[0, 1] > 0.9


def test_snr_zero_is_noise_alone(tmp_path: Path) -> None:
    simulate(tmp_path / "null", SimulateConfig(images=150, test=10, voxels=200, snr=0.0))
    files = Files(tmp_path / "null")
    assert not files.truth["response"].any()
    assert not files.truth["tuned"].any() or not files.truth["amplitude"].any()
    alive = files.truth["dead"] == 0
    ratio = ncsnr_by_definition(files.zscored[:, alive], files.order)
    measured = ratio**2 / (ratio**2 + 1)
    assert np.median(measured) < 0.03


def test_snr_scales_the_signal(tmp_path: Path) -> None:
    medians = []
    for snr in (1.0, 3.0):
        simulate(tmp_path / f"{snr}", SimulateConfig(images=150, test=10, voxels=200, snr=snr))
        files = Files(tmp_path / f"{snr}")
        voxels = files.tuned("gabor")
        medians.append(np.median(ceiling(files)[voxels]))
    # Three times the amplitude is nine times the odds.
    low, high = medians
    assert high / (1 - high) == pytest.approx(9 * low / (1 - low), rel=0.4)


def test_pictures_can_be_told_apart_from_mean_responses(default: Files) -> None:
    """A floor under everything downstream: ridge on 1,000 images, then 1 of 100 test images."""
    shared = 100
    measured, signal = mean_response(default), default.truth["response"]
    alive = default.truth["dead"] == 0
    x = measured[:, alive] - measured[shared:, alive].mean(0)
    centred = signal - signal[shared:].mean(0)
    # The thirty main components of the noise-free responses, each of unit variance.
    values, vectors = np.linalg.eigh(centred[shared:] @ centred[shared:].T)
    y = centred @ (centred[shared:].T @ vectors[:, -30:]) / values[-30:]
    gram = x[shared:] @ x[shared:].T
    weights = np.linalg.solve(gram + 1000 * np.eye(len(gram)), y[shared:])
    guess = x[:shared] @ x[shared:].T @ weights
    guess /= np.linalg.norm(guess, axis=1, keepdims=True)
    target = y[:shared] / np.linalg.norm(y[:shared], axis=1, keepdims=True)
    assert ((guess @ target.T).argmax(1) == np.arange(shared)).mean() > 0.8
