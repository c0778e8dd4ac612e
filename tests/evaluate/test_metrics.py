"""Each metric against scipy, scikit-image or a plain loop, and against the recorded values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats as scipy_stats
from skimage.color import rgb2gray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from mindeye_cli.evaluate.metrics import METRICS
from mindeye_cli.evaluate.metrics.correlation import pearson_matrix
from mindeye_cli.evaluate.metrics.twoway import two_way
from mindeye_cli.evaluate.pictures import Pictures
from mindeye_cli.evaluate.resize import resize, to_tensor


def pictures(n: int, side: int = 20, seed: int = 0) -> Pictures:
    draw = np.random.default_rng(seed)
    coarse = draw.integers(0, 256, size=(n, 5, 5, 3), dtype=np.uint8)
    smooth = np.asarray(resize(to_tensor(coarse), side).permute(0, 2, 3, 1) * 255)
    return Pictures(ids=tuple(f"i{k}" for k in range(n)), pixels=smooth.astype(np.uint8))


def noisy(of: Pictures, seed: int = 9) -> Pictures:
    draw = np.random.default_rng(seed)
    other = draw.integers(-40, 40, size=of.pixels.shape) + of.pixels
    return Pictures(ids=of.ids, pixels=np.clip(other, 0, 255).astype(np.uint8))


def protocol(of: Pictures, k: int) -> np.ndarray:
    """One picture at 425 by the documented steps, float64 (425, 425, 3)."""
    tensor = torch.from_numpy(of.pixels[k]).permute(2, 0, 1)[None].double() / 255
    for side in (256, 425):
        tensor = torch.nn.functional.interpolate(tensor, (side, side), mode="bilinear")
    return tensor[0].permute(1, 2, 0).numpy()


def ssim_oracle(first: np.ndarray, second: np.ndarray) -> float:
    return float(
        structural_similarity(
            rgb2gray(first),
            rgb2gray(second),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1.0,
        )
    )


def test_recorded_pixcorr_and_ssim(shared_dir: Path) -> None:
    golden = np.load(shared_dir / "golden" / "metrics.npz")
    ids = tuple(str(k) for k in range(16))
    truth = Pictures(ids=ids, pixels=golden["gt"])
    recon = Pictures(ids=ids, pixels=golden["rec"])
    for name in ("pixcorr", "ssim"):
        found = METRICS[name].compute(truth, recon, False).per_entry
        np.testing.assert_allclose(found, golden[name], atol=1e-4)


def test_pixcorr_equals_scipy_for_every_pair() -> None:
    truth = pictures(4)
    recon = noisy(truth)
    scores = METRICS["pixcorr"].compute(truth, recon, True)
    assert scores.cross is not None
    for i in range(4):
        for j in range(4):
            r = scipy_stats.pearsonr(protocol(truth, i).ravel(), protocol(recon, j).ravel())[0]
            assert scores.cross[i, j] == pytest.approx(r, abs=1e-5)
    np.testing.assert_array_equal(np.diagonal(scores.cross), scores.per_entry)


def test_ssim_equals_scikit_image_and_its_lattice_is_close() -> None:
    truth = pictures(3)
    recon = noisy(truth)
    scores = METRICS["ssim"].compute(truth, recon, True)
    assert scores.cross is not None
    for i in range(3):
        for j in range(3):
            expected = ssim_oracle(protocol(truth, i), protocol(recon, j))
            tolerance = 1e-5 if i == j else 5e-3
            assert scores.cross[i, j] == pytest.approx(expected, abs=tolerance)


def test_psnr_equals_scikit_image_for_every_pair() -> None:
    truth = pictures(3)
    recon = noisy(truth)
    scores = METRICS["psnr"].compute(truth, recon, True)
    assert scores.cross is not None
    for i in range(3):
        for j in range(3):
            expected = peak_signal_noise_ratio(truth.pixels[i], recon.pixels[j])
            assert scores.cross[i, j] == pytest.approx(expected, abs=1e-6)
    equal = METRICS["psnr"].compute(truth, truth, False).per_entry
    np.testing.assert_allclose(equal, 100.0)


def test_psnr_is_taken_at_the_stimulus_size() -> None:
    truth = pictures(2, side=16)
    large = Pictures(ids=truth.ids, pixels=np.repeat(np.repeat(truth.pixels, 4, 1), 4, 2))
    assert (METRICS["psnr"].compute(truth, large, False).per_entry > 25).all()


def test_two_way_equals_a_double_loop_with_strict_inequality() -> None:
    draw = np.random.default_rng(0)
    truth, recon = draw.standard_normal((8, 5)), draw.standard_normal((8, 5))
    truth[3] = truth[2]  # A tie is not a win.
    scores = two_way(truth, recon, np.arange(8), cross=True)
    assert scores.cross is not None
    for j in range(8):
        r = [scipy_stats.pearsonr(truth[i], recon[j])[0] for i in range(8)]
        assert scores.per_entry[j] == np.mean([r[i] < r[j] - 1e-12 for i in range(8) if i != j])
        for i in range(8):
            others = [r[k] < r[i] - 1e-12 for k in range(8) if k != i]
            assert scores.cross[i, j] == pytest.approx(np.mean(others))


def test_two_way_by_chance_is_one_half() -> None:
    draw = np.random.default_rng(0)
    scores = two_way(draw.random((40, 9)), draw.random((40, 9)), np.arange(40), cross=True)
    assert scores.cross is not None
    assert scores.cross.mean() == pytest.approx(0.5)


def test_single_trials_of_one_image_are_not_each_others_distractors() -> None:
    draw = np.random.default_rng(0)
    truth = np.repeat(draw.standard_normal((4, 6)), 3, axis=0)
    scores = two_way(truth, truth + 0.01 * draw.standard_normal((12, 6)), np.arange(12) // 3)
    np.testing.assert_array_equal(scores.per_entry, 1.0)


def test_a_constant_picture_is_undefined_not_dropped() -> None:
    truth = pictures(3)
    pixels = noisy(truth).pixels.copy()
    pixels[1] = 128
    flat = Pictures(ids=truth.ids, pixels=pixels)
    scores = METRICS["pixcorr"].compute(truth, flat, True)
    assert np.isnan(scores.per_entry[1]) and np.isfinite(scores.per_entry[[0, 2]]).all()
    assert scores.cross is not None and np.isnan(scores.cross[:, 1]).all()
    features = truth.pixels.reshape(3, -1).astype(float)
    other = features.copy()
    other[1] = 2.0
    assert np.isnan(two_way(features, other, np.arange(3)).per_entry[1])
    assert np.isnan(pearson_matrix(features, other)[:, 1]).all()


def test_scoring_one_at_a_time_equals_scoring_all_at_once() -> None:
    truth = pictures(5)
    recon = noisy(truth)
    for name in ("pixcorr", "ssim", "psnr"):
        together = METRICS[name].compute(truth, recon, False).per_entry
        for k in range(5):
            alone = METRICS[name].compute(
                Pictures(ids=(truth.ids[k],), pixels=truth.pixels[k : k + 1]),
                Pictures(ids=(truth.ids[k],), pixels=recon.pixels[k : k + 1]),
                False,
            )
            assert alone.per_entry[0] == pytest.approx(together[k], abs=1e-6)
