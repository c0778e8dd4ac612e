"""Pictures show what their records say, judged from the pixels alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mindeye_cli.core.scenes import BACKGROUNDS, CATEGORIES, category_map, render, sample_scene
from mindeye_cli.core.scenes.forms import FORMS

SCENES = [sample_scene(seed) for seed in range(1000, 1150)]


def test_taking_an_object_away_changes_only_its_own_box() -> None:
    for scene in SCENES:
        item = scene.objects[-1]
        without = replace(scene, objects=scene.objects[:-1])
        rows, columns = np.nonzero((render(scene) != render(without)).any(-1))
        half = item.size * 32 * 1.08 + 1.5
        assert len(rows) > 20
        assert np.abs(columns + 0.5 - item.x * 64).max() <= half
        assert np.abs(rows + 0.5 - item.y * 64).max() <= half


def test_extent_follows_size() -> None:
    for scene in SCENES:
        item = scene.objects[0]
        alone = replace(scene, objects=(item,))
        empty = replace(scene, objects=())
        rows, columns = np.nonzero((render(alone) != render(empty)).any(-1))
        extent = max(np.ptp(rows), np.ptp(columns)) + 1
        assert extent == pytest.approx(item.size * 64, rel=0.22, abs=3)


def test_the_body_has_the_recorded_colour() -> None:
    for scene in SCENES:
        item = scene.objects[0]
        drawn = render(replace(scene, objects=(replace(item, texture="plain"),))).astype(int)
        near = np.abs(drawn - np.array(item.rgb)).max(-1) <= 2
        rows, columns = np.nonzero(near)
        inside = (np.abs(columns + 0.5 - item.x * 64) <= item.size * 32 + 1) & (
            np.abs(rows + 0.5 - item.y * 64) <= item.size * 32 + 1
        )
        assert inside.sum() >= 0.06 * (item.size * 64) ** 2


def test_a_texture_darkens_part_of_the_body() -> None:
    scene = next(s for s in SCENES if s.objects[0].category == "shape")
    item = scene.objects[0]
    plain = render(replace(scene, objects=(replace(item, texture="plain"),))).astype(int)
    pictures = [plain]
    for texture in ("stripes", "dots", "checks"):
        drawn = render(replace(scene, objects=(replace(item, texture=texture),))).astype(int)
        changed = (drawn != plain).any(-1)
        assert 0.02 < changed.mean() < 0.4
        assert (drawn <= plain)[changed].all()
        pictures.append(drawn)
    assert len({picture.tobytes() for picture in pictures}) == 4


def test_category_map_marks_the_objects() -> None:
    for scene in SCENES[:60]:
        labels = category_map(scene)
        for item in scene.objects:
            rows, columns = np.nonzero(labels == 1 + CATEGORIES.index(item.category))
            assert len(rows) > 20
            assert np.abs(columns + 0.5 - item.x * 64).max() <= item.size * 35 + 2
            assert np.abs(rows + 0.5 - item.y * 64).max() <= item.size * 35 + 2
        assert set(np.unique(labels)) == {
            0,
            *(1 + CATEGORIES.index(item.category) for item in scene.objects),
        }


def test_every_form_and_backdrop_is_different() -> None:
    scene = SCENES[0]
    item = replace(scene.objects[0], size=0.6, x=0.5, y=0.5, texture="plain")
    pictures = set()
    for category, forms in FORMS.items():
        for variant in range(len(forms)):
            shown = replace(item, category=category, variant=variant)
            pictures.add(render(replace(scene, objects=(shown,))).tobytes())
    assert len(pictures) == sum(len(forms) for forms in FORMS.values())
    backdrops = {
        render(
            replace(scene, objects=(), background=replace(scene.background, kind=kind))
        ).tobytes()
        for kind in BACKGROUNDS
    }
    assert len(backdrops) == len(BACKGROUNDS)


def test_size_of_the_picture_is_free() -> None:
    scene = SCENES[3]
    large = render(scene, size=128)
    assert large.shape == (128, 128, 3)
    halved = large.reshape(64, 2, 64, 2, 3).mean((1, 3))
    assert np.corrcoef(halved.ravel(), render(scene).ravel())[0, 1] > 0.97
