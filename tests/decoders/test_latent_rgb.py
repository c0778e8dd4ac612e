"""The linear map from latents to colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from skimage.transform import downscale_local_mean

from mindeye_cli.core.scenes import render, sample_scene
from mindeye_cli.models.decoders.latent_rgb import averaged, fit_latent_rgb
from mindeye_cli.models.encoders import load_encoder
from mindeye_store.errors import InvalidInput

TRAIN, HELD_OUT = 60, 40


def explained(predicted: Any, true: Any) -> float:
    """R2 over all positions and colours."""
    error = ((predicted - true) ** 2).sum()
    return float(1 - error / ((true - true.mean(axis=(0, 1, 2))) ** 2).sum())


def test_explains_held_out_scenes() -> None:
    pictures = np.stack([render(sample_scene(seed)) for seed in range(TRAIN + HELD_OUT)])
    latents = load_encoder("scene-vae").encode(pictures)
    fitted = fit_latent_rgb(
        [(latents[:30], pictures[:30]), (latents[30:TRAIN], pictures[30:TRAIN])]
    )
    held_latents, held = latents[TRAIN:], pictures[TRAIN:] / 255.0
    small = np.stack([downscale_local_mean(picture, (4, 4, 1)) for picture in held])
    assert explained(fitted.small(held_latents), small) >= 0.9
    assert explained(fitted.decode(held_latents), held) >= 0.8
    shuffled = np.random.default_rng(0).permutation(HELD_OUT)
    assert explained(fitted.small(held_latents[shuffled]), small) < 0.5


def test_is_the_least_squares_solution() -> None:
    draw = np.random.default_rng(1)
    latents = draw.standard_normal((5, 4, 3, 3)).astype(np.float32)
    pictures = draw.integers(0, 256, size=(5, 6, 6, 3), dtype=np.uint8)
    fitted = fit_latent_rgb([(latents[:2], pictures[:2]), (latents[2:], pictures[2:])])
    rows = latents.transpose(0, 2, 3, 1).reshape(-1, 4).astype(np.float64)
    colours = np.stack([downscale_local_mean(p / 255.0, (2, 2, 1)) for p in pictures])
    np.testing.assert_allclose(averaged(pictures, 3, 3), colours, atol=1e-6)
    design = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
    expected = np.linalg.lstsq(design, colours.reshape(-1, 3), rcond=None)[0]
    np.testing.assert_allclose(fitted.coefficients, expected, atol=1e-6)
    assert fitted.decode(latents).shape == (5, 6, 6, 3)
    assert 0 <= fitted.decode(latents).min() and fitted.decode(latents).max() <= 1


def test_refusals() -> None:
    latents = np.zeros((1, 4, 1, 1), np.float32)
    pictures = np.zeros((1, 2, 2, 3), np.uint8)
    for batches in (
        [],
        [(latents, pictures)],
        [(latents.repeat(9, 0) * np.nan, pictures.repeat(9, 0))],
    ):
        with pytest.raises(InvalidInput, match="cannot be fitted"):
            fit_latent_rgb(batches)
    fitted = fit_latent_rgb([(latents.repeat(9, 0), pictures.repeat(9, 0))])
    with pytest.raises(InvalidInput, match=r"takes \(B, 4, h, w\)"):
        fitted.decode(np.zeros((1, 3, 2, 2), np.float32))
