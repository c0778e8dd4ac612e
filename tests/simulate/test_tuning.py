"""Areas respond to what they should: orientation, colour, and objects' kind, place and colour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from skimage.filters import gabor

from mindeye_cli.core.sampler import rng
from mindeye_cli.core.scenes import (
    CATEGORIES,
    COLOURS,
    Scene,
    render,
    sample_scene,
    simulation_seed,
)
from mindeye_cli.simulate.anatomy import Anatomy, build_anatomy
from mindeye_cli.simulate.areas import AREAS
from mindeye_cli.simulate.early import early_response
from mindeye_cli.simulate.filters import ORIENTATIONS, WAVELENGTHS, channel_maps
from mindeye_cli.simulate.objects import object_response
from mindeye_cli.simulate.tuning import Tuning, draw_tuning


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [sample_scene(simulation_seed(3, index)) for index in range(80)]


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    return build_anatomy(1000, 1)


@pytest.fixture(scope="module")
def tuning(anatomy: Anatomy) -> Tuning:
    return draw_tuning(anatomy, 0, 1, 1.0)


def grating(wavelength: float, angle: float) -> np.ndarray:
    y, x = np.mgrid[:64, :64]
    wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / wavelength)
    return np.repeat((127.5 + 100 * wave)[..., None], 3, -1).astype(np.uint8)


@pytest.mark.parametrize("octave", range(len(WAVELENGTHS)))
@pytest.mark.parametrize("orientation", range(ORIENTATIONS))
def test_a_grating_drives_its_own_channel_most(octave: int, orientation: int) -> None:
    picture = grating(WAVELENGTHS[octave], np.pi * orientation / ORIENTATIONS)
    energy = channel_maps(picture[None])["energy"][0].mean(1)
    assert energy.argmax() == octave * ORIENTATIONS + orientation


def test_energy_agrees_with_scikit_images_gabor(scenes: list[Scene]) -> None:
    picture = render(scenes[0])
    grey = picture.astype(float) @ [0.299, 0.587, 0.114] / 255
    energy = channel_maps(picture[None])["energy"][0]
    for octave, wavelength in enumerate(WAVELENGTHS[1:], start=1):
        for orientation in range(ORIENTATIONS):
            spread = 0.5 * wavelength
            real, imaginary = gabor(
                grey - grey.mean(),
                frequency=1 / wavelength,
                theta=np.pi * orientation / ORIENTATIONS,
                sigma_x=spread,
                sigma_y=spread,
                mode="reflect",
            )
            amplitude = np.hypot(real, imaginary).reshape(16, 4, 16, 4).mean((1, 3)).ravel()
            found = energy[octave * ORIENTATIONS + orientation]
            assert np.corrcoef(found, amplitude)[0, 1] > 0.95


def test_hue_channels_tell_colours_apart() -> None:
    red, blue = np.zeros((2, 64, 64, 3), np.uint8)
    red[..., 0], blue[..., 2] = 200, 200
    hue = channel_maps(np.stack([red, blue]))["hue"].mean(2)
    assert hue[0].argmax() != hue[1].argmax()
    grey = np.full((1, 64, 64, 3), 120, np.uint8)
    assert np.allclose(channel_maps(grey)["hue"], 0, atol=1e-6)


def test_early_voxels_see_their_own_place(
    anatomy: Anatomy, tuning: Tuning, scenes: list[Scene]
) -> None:
    """Changing pixels far from a receptive field changes its voxel far less than inside it."""
    early = replace(tuning.early, linear_share=np.ones_like(tuning.early.linear_share))
    names = np.array([area.name for area in AREAS])[anatomy.area[early.voxel]]
    pictures = np.stack([render(scene) for scene in scenes])
    plain = np.full((2, 64, 64, 3), 128, np.uint8)
    left = plain.copy()
    left[0, 20:44, 4:24] = 255
    response = early_response(early, channel_maps(np.concatenate([left, pictures])))
    effect = np.abs(response[0] - response[1])
    v1 = np.char.startswith(names, "V1")
    sees = v1 & (np.abs(early.field[:, 0] - 14) < 8) & (np.abs(early.field[:, 1] - 32) < 10)
    blind = v1 & (early.field[:, 0] > 46)
    assert np.median(effect[blind]) < 0.2 * np.median(effect[sees])
    # The left half of the picture belongs to the right hemisphere.
    side = anatomy.left[early.voxel]
    assert (early.field[~side & v1, 0].mean() < 26) and (early.field[side & v1, 0].mean() > 38)


def test_fields_grow_from_v1_to_v3(anatomy: Anatomy, tuning: Tuning) -> None:
    names = np.array([area.name[:2] for area in AREAS])[anatomy.area[tuning.early.voxel]]
    v1, v2, v3 = (np.median(tuning.early.field[names == name, 2]) for name in ("V1", "V2", "V3"))
    assert v1 < v2 < v3


def test_retinotopy_is_smooth(anatomy: Anatomy, tuning: Tuning) -> None:
    """Neighbouring voxels of an area see nearer places than distant ones do."""
    names = np.array([area.name for area in AREAS])[anatomy.area[tuning.early.voxel]]
    inside = (names == "V1v") & anatomy.left[tuning.early.voxel]
    place = anatomy.ijk[tuning.early.voxel][inside].astype(float)
    field = tuning.early.field[inside, :2]
    apart = np.sqrt(((place[:, None, 1:] - place[:, 1:]) ** 2).sum(-1))
    seen = np.sqrt(((field[:, None] - field) ** 2).sum(-1))
    assert seen[(apart > 0) & (apart < 1.5)].mean() < 0.7 * seen[apart > 3].mean()


def one_object(scene: Scene, **changes: object) -> Scene:
    return replace(scene, objects=(replace(scene.objects[0], **changes),))


def test_category_areas_prefer_their_category_wherever_it_is(
    anatomy: Anatomy, tuning: Tuning, scenes: list[Scene]
) -> None:
    names = np.array([area.name for area in AREAS])[anatomy.area[tuning.objects.voxel]]
    places = [(0.3, 0.3), (0.7, 0.3), (0.5, 0.7)]
    for area, favourite in (
        ("FFA-1", "face"),
        ("EBA", "body"),
        ("PPA", "house"),
        ("VWFA-1", "word"),
    ):
        voxels = names == area
        best = []
        for x, y in places:
            shown = [
                one_object(scenes[0], category=kind, x=x, y=y, size=0.4, variant=0)
                for kind in CATEGORIES
            ]
            response = object_response(tuning.objects, shown)[:, voxels].mean(1)
            best.append(CATEGORIES[int(response.argmax())])
        assert best == [favourite] * len(places)


def test_category_areas_respond_more_to_larger_objects(
    anatomy: Anatomy, tuning: Tuning, scenes: list[Scene]
) -> None:
    names = np.array([area.name for area in AREAS])[anatomy.area[tuning.objects.voxel]]
    sizes = [one_object(scenes[0], category="face", x=0.5, y=0.5, size=s) for s in (0.2, 0.4, 0.6)]
    small, middle, large = object_response(tuning.objects, sizes)[:, names == "FFA-1"].mean(1)
    assert small < middle < large


def test_lo_tells_where_an_object_is(anatomy: Anatomy, tuning: Tuning, scenes: list[Scene]) -> None:
    """An object's side and height decide which LO voxels it drives; a face area hardly cares."""
    names = np.array([area.name for area in AREAS])[anatomy.area[tuning.objects.voxel]]
    places = [(x, y) for x in (0.25, 0.75) for y in (0.25, 0.75)]
    shown = [one_object(scenes[0], category="face", x=x, y=y, size=0.4) for x, y in places]
    response = object_response(tuning.objects, shown)
    for area, differs in (("LO", True), ("FFA-1", False)):
        patterns = response[:, names == area]
        spread = patterns.std(0).mean() / np.abs(patterns).mean()
        assert (spread > 0.8) == differs
    left = anatomy.left[tuning.objects.voxel][names == "LO"]
    lo = response[:, names == "LO"]
    assert lo[:2, ~left].mean() > 2 * lo[:2, left].mean()  # the left half: right hemisphere


def test_vo_tells_an_objects_colour_whatever_the_object(
    anatomy: Anatomy, tuning: Tuning, scenes: list[Scene]
) -> None:
    """The pattern of VO follows the colour across categories, that of FFA the category."""
    names = np.array([area.name for area in AREAS])[anatomy.area[tuning.objects.voxel]]
    paints = [COLOURS[name] for name in ("red", "green", "blue")]
    shown = [
        one_object(scenes[0], category=kind, rgb=rgb, x=0.5, y=0.5, size=0.4)
        for kind in ("tool", "plant")
        for rgb in paints
    ]
    patterns = object_response(tuning.objects, shown)[:, names == "VO"]
    alike = np.corrcoef(patterns[:3], patterns[3:])[:3, 3:]
    assert np.diag(alike).min() > 0.9
    assert alike[~np.eye(3, dtype=bool)].max() < 0.6


def test_every_area_has_its_share_of_voxels(anatomy: Anatomy) -> None:
    counts = np.bincount(anatomy.area, minlength=len(AREAS))
    weights = np.array([area.weight for area in AREAS])
    assert weights.sum() == 1000
    assert np.abs(counts - weights).max() <= 2
    assert anatomy.left.sum() == 500


def test_missing_area_is_neither_labelled_nor_tuned(anatomy: Anatomy, tuning: Tuning) -> None:
    missing = anatomy.voxels_of(anatomy.lacking)
    assert missing.any()
    assert not tuning.tuned[missing].any()
    assert not anatomy.labels("floc-places")[missing].any()


def test_tuning_is_a_function_of_seed_and_subject(anatomy: Anatomy, tuning: Tuning) -> None:
    again, other = draw_tuning(anatomy, 0, 1, 1.0), draw_tuning(anatomy, 0, 2, 1.0)
    assert np.array_equal(again.amplitude, tuning.amplitude)
    assert not np.array_equal(other.amplitude, tuning.amplitude)
    assert rng(0, "tuning", 1).random() != rng(1, "tuning", 1).random()
