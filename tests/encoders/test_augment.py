"""Augmented pictures: the published chances and ranges, plain formulas, and keyed draws."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d

from mindeye_cli.core.sampler import rng
from mindeye_cli.models.encoders.augment import (
    Draw,
    apply_draw,
    augmented,
    draw_augmentation,
    view_encoder,
)
from mindeye_cli.models.encoders.pixels import load_pixels
from mindeye_cli.models.encoders.policies import TEACHER, find_policy
from mindeye_store import UsageProblem

HEIGHT, WIDTH = 24, 40
# Of red, green and blue in grey (ITU-R BT.601).
GREY = np.array([0.2989, 0.587, 0.114])


@pytest.fixture(scope="module")
def draws() -> list[Draw]:
    return [draw_augmentation(rng(0, "test", k), HEIGHT, WIDTH) for k in range(4000)]


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).uniform(0.05, 0.95, (3, HEIGHT, WIDTH)).astype(np.float32)


def altered(picture: np.ndarray, **changes: Any) -> np.ndarray:
    draw = Draw(**({"crop": None, "flip": False, "jitter": (), "grey": False} | changes))
    return apply_draw(torch.from_numpy(picture), draw).numpy()


def test_chances_are_the_published_ones(draws: list[Draw]) -> None:
    happened = np.array([[d.crop is not None, d.flip, bool(d.jitter), d.grey] for d in draws])
    expected = np.array([0.3, 0.5, 0.3, 0.3])
    # Four standard errors.
    assert (abs(happened.mean(axis=0) - expected) < 4 * np.sqrt(expected / len(draws))).all()
    together = np.corrcoef(happened.T) - np.eye(4)
    assert abs(together).max() < 4 / np.sqrt(len(draws))


def test_ranges_are_the_published_ones(draws: list[Draw]) -> None:
    boxes = np.array([d.crop for d in draws if d.crop is not None])
    top, left, high, wide = boxes.T
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + high <= HEIGHT).all() and (left + wide <= WIDTH).all()
    area = high * wide / (HEIGHT * WIDTH)
    # Sides are whole pixels.
    assert area.min() > 0.57 and area.max() <= 1 and area.min() < 0.65
    assert ((wide / high > 0.72) & (wide / high < 1.39) | (area == 1)).all()
    factors: dict[str, list[float]] = {}
    for draw in draws:
        for name, factor in draw.jitter:
            factors.setdefault(name, []).append(factor)
    for name, middle, reach in (
        ("brightness", 1, 0.4),
        ("contrast", 1, 0.4),
        ("saturation", 1, 0.2),
        ("hue", 0, 0.1),
    ):
        found = np.array(factors[name]) - middle
        assert abs(found).max() <= reach
        assert found.min() < -0.98 * reach and found.max() > 0.98 * reach
    first = [draw.jitter[0][0] for draw in draws if draw.jitter]
    assert {first.count(name) / len(first) > 0.2 for name in factors} == {True}


def test_nothing_drawn_changes_nothing(picture: np.ndarray) -> None:
    assert np.array_equal(altered(picture), picture)


def test_flip_and_grey(picture: np.ndarray) -> None:
    assert np.array_equal(altered(picture, flip=True), picture[:, :, ::-1])
    grey = np.einsum("c,chw->hw", GREY, picture)
    np.testing.assert_allclose(altered(picture, grey=True), np.stack([grey] * 3), atol=1e-6)


def test_crop_brings_its_box_to_the_picture_size() -> None:
    """A ramp stays a ramp: its cropped half is twice as flat, centre of pixel by centre."""
    ramp = np.broadcast_to(np.arange(WIDTH, dtype=np.float32) / WIDTH, (3, HEIGHT, WIDTH)).copy()
    cropped = altered(ramp, crop=(4, 10, 12, 20))
    assert cropped.shape == ramp.shape
    expected = (10 + (np.arange(WIDTH) + 0.5) / 2 - 0.5) / WIDTH
    np.testing.assert_allclose(cropped[0, 5, 2:-2], expected[2:-2], atol=1e-5)


def test_jitter_follows_its_formulas(picture: np.ndarray) -> None:
    grey = np.einsum("c,chw->hw", GREY, picture)
    for name, factor, expected in (
        ("brightness", 1.3, 1.3 * picture),
        ("contrast", 0.7, 0.7 * picture + 0.3 * grey.mean()),
        ("saturation", 1.2, 1.2 * picture - 0.2 * grey),
    ):
        found = altered(picture, jitter=((name, factor),))
        np.testing.assert_allclose(found, expected.clip(0, 1), atol=1e-5)
    found = altered(picture, jitter=(("hue", 0.1),))
    for y, x in ((0, 0), (5, 9), (23, 39)):
        hue, saturation, value = colorsys.rgb_to_hsv(*picture[:, y, x])
        expected = colorsys.hsv_to_rgb((hue + 0.1) % 1, saturation, value)
        np.testing.assert_allclose(found[:, y, x], expected, atol=1e-5)


def test_jitter_steps_come_in_their_order(picture: np.ndarray) -> None:
    steps = (("brightness", 1.4), ("contrast", 0.6))
    forwards, backwards = altered(picture, jitter=steps), altered(picture, jitter=steps[::-1])
    np.testing.assert_allclose(
        forwards, altered(altered(picture, jitter=steps[:1]), jitter=steps[1:]), atol=1e-6
    )
    assert not np.allclose(forwards, backwards, atol=1e-3)


def test_a_picture_depends_on_its_key_alone() -> None:
    images = np.random.default_rng(1).integers(0, 256, (8, HEIGHT, WIDTH, 3), dtype=np.uint8)
    ids = [f"img{k}" for k in range(8)]
    state = torch.random.get_rng_state()
    whole = augmented(images, ids, 1, 0)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert whole.dtype == np.float32 and whole.shape == images.shape
    assert 0 <= whole.min() and whole.max() <= 1
    backwards = augmented(images[::-1], ids[::-1], 1, 0)
    assert np.array_equal(whole, backwards[::-1])
    assert np.array_equal(whole[3:4], augmented(images[3:4], ids[3:4], 1, 0))
    for other in (augmented(images, ids, 2, 0), augmented(images, ids, 1, 1)):
        assert (whole != other).any(axis=(1, 2, 3)).sum() > 4
    assert not np.array_equal(whole[0], augmented(images[:1], ["other"], 1, 0)[0])


def test_teachers_chances_and_ranges_are_the_published_ones() -> None:
    draws = [draw_augmentation(rng(0, "teacher", k), 64, 64, TEACHER) for k in range(4000)]
    happened = np.array(
        [
            [d.flip, bool(d.jitter), d.grey, d.solarize is not None, d.blur is not None]
            for d in draws
        ]
    )
    expected = np.array([0.0, 0.8, 0.2, 0.2, 0.1])
    margin = 4 * np.sqrt(expected * (1 - expected) / len(draws))
    assert (abs(happened.mean(axis=0) - expected) <= margin).all()
    assert all(d.crop is not None and d.crop_last for d in draws)
    area = np.array([d.crop[2] * d.crop[3] / 64**2 for d in draws])
    assert 0.48 < area.min() < 0.53 and area.max() <= 1
    shift, threshold = np.array([d.solarize for d in draws if d.solarize]).T
    assert abs(shift).max() <= 0.1 and shift.min() < -0.09 and shift.max() > 0.09
    assert 0.4 <= threshold.min() < 0.41 and 0.59 < threshold.max() <= 0.6
    widths, sigmas = np.array([d.blur for d in draws if d.blur]).T
    assert set(widths) == {7} and 0.1 <= sigmas.min() < 0.2 and 1.9 < sigmas.max() <= 2


def test_solarize_blur_and_the_late_crop(picture: np.ndarray) -> None:
    lighter = (picture + 0.05).clip(0, 1)
    expected = np.where(lighter < 0.45, lighter, 1 - lighter)
    np.testing.assert_allclose(altered(picture, solarize=(0.05, 0.45)), expected, atol=1e-6)
    kernel = np.exp(-0.5 * (np.arange(-3, 4) / 1.5) ** 2)
    padded = np.pad(picture, ((0, 0), (3, 3), (3, 3)), mode="reflect")
    blurred = convolve1d(convolve1d(padded, kernel / kernel.sum(), 1), kernel / kernel.sum(), 2)
    found = altered(picture, blur=(7, 1.5))
    np.testing.assert_allclose(found, blurred[:, 3:-3, 3:-3], atol=1e-5)
    box = (4, 10, 12, 20)
    late = altered(picture, blur=(7, 1.5), crop=box, crop_last=True)
    np.testing.assert_allclose(late, altered(found, crop=box), atol=1e-6)
    assert not np.allclose(late, altered(picture, blur=(7, 1.5), crop=box), atol=1e-3)


def test_policies_by_name_and_by_space() -> None:
    images = np.random.default_rng(1).integers(0, 256, (1, 40, 40, 3), dtype=np.uint8)
    assert augmented(images, ["a"], 1, 0, TEACHER).shape == (1, 512, 512, 3)
    assert find_policy(None, "vicregl-convnext-xl:maps") is find_policy("teacher", "pixels:8")
    assert find_policy(None, "scene-clip:tokens") is find_policy("published", "vicregl-x")
    with pytest.raises(UsageProblem, match="published, teacher"):
        find_policy("strong", "pixels:8")
    plain = load_pixels("pixels:8")
    prints = {view_encoder(plain, 1, 0, find_policy(n, "")).fingerprint for n in (None, "teacher")}
    assert len(prints) == 2


def test_declaration_of_a_view() -> None:
    plain = load_pixels("pixels:8")
    view = view_encoder(plain, 2, seed=7)
    assert view.space == "pixels:8@view2"
    assert (view.shape, view.norm, view.dtype) == (plain.shape, plain.norm, plain.dtype)
    said = view.description["view"]
    assert (said["of"], said["view"], said["seed"]) == (plain.fingerprint, 2, 7)
    prints = {
        plain.fingerprint,
        *(view_encoder(plain, view, seed).fingerprint for view in (1, 2) for seed in (0, 7)),
    }
    assert len(prints) == 5
