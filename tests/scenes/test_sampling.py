"""Sampling: a pure function of the seed, records that say what was drawn, disjoint seeds."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindeye_cli.core.scenes import (
    BACKGROUNDS,
    CATEGORIES,
    COLOURS,
    TEXTURES,
    builtin_seed,
    render,
    sample_scene,
    scene_from_record,
    simulation_seed,
)
from mindeye_cli.core.scenes.seeds import SPLITS
from mindeye_cli.core.scenes.vocabulary import COMPANIONS

SCENES = [sample_scene(seed) for seed in range(400)]
_DIGEST = (
    "import hashlib; from mindeye_cli.core.scenes import *;"
    "print(hashlib.sha256(b''.join(render(sample_scene(s)).tobytes() for s in range(20)))"
    ".hexdigest())"
)


def test_pictures_are_a_pure_function_of_the_seed_in_any_process() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", _DIGEST], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(digests) == 1
    first, again = render(sample_scene(5)), render(sample_scene(5))
    assert first.shape == (64, 64, 3) and first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, render(sample_scene(6)))


def test_every_name_is_used() -> None:
    objects = [item for scene in SCENES for item in scene.objects]
    assert {item.category for item in objects} == set(CATEGORIES)
    assert {item.colour for item in objects} == set(COLOURS)
    assert {item.texture for item in objects} == set(TEXTURES)
    assert {scene.background.kind for scene in SCENES} == set(BACKGROUNDS)
    assert {len(scene.objects) for scene in SCENES} == {1, 2, 3}


def test_objects_are_listed_largest_first_inside_the_frame_and_not_hidden() -> None:
    for scene in SCENES:
        sizes = [item.size for item in scene.objects]
        assert sizes == sorted(sizes, reverse=True)
        names = [item.category for item in scene.objects]
        assert len(set(names)) == len(names)
        assert scene.background.colour not in {item.colour for item in scene.objects}
        for place, item in enumerate(scene.objects):
            for centre in (item.x, item.y):
                assert item.size / 2 <= centre <= 1 - item.size / 2
            for other in scene.objects[:place]:
                gaps = [
                    (item.size + other.size) / 2 - abs(a - b)
                    for a, b in ((item.x, other.x), (item.y, other.y))
                ]
                assert min(gaps) <= 0.05 * (item.size + other.size)


def test_a_record_survives_json_and_gives_the_same_picture() -> None:
    for scene in SCENES[:50]:
        back = scene_from_record(json.loads(json.dumps(scene.record())))
        assert back == scene
        assert np.array_equal(render(back), render(scene))


def test_a_caption_names_every_object_and_the_background() -> None:
    for scene in SCENES[:50]:
        words = scene.caption().split()
        for item in scene.objects:
            assert {item.category, item.colour} <= set(words)
        assert {scene.background.kind, scene.background.colour} <= set(words)


def test_cooccurrence_ties_pairs_only_when_asked() -> None:
    def tied(cooccurrence: bool) -> float:
        scenes = [sample_scene(seed, cooccurrence=cooccurrence) for seed in range(600)]
        pairs = [{o.category for o in scene.objects} for scene in scenes if len(scene.objects) == 2]
        hits = Counter(any(COMPANIONS[name] in pair for name in pair) for pair in pairs)
        return hits[True] / len(pairs)

    assert tied(False) < 0.2  # 1 in 9 by chance
    assert tied(True) > 0.7


@given(
    st.integers(0, 2**20 - 1),
    st.integers(0, 2**20 - 1),
    st.sampled_from(SPLITS),
    st.integers(0, 2**32 - 1),
)
def test_simulation_cannot_draw_a_scene_of_the_built_in_models(
    seed: int, index: int, split: str, row: int
) -> None:
    assert 0 <= simulation_seed(seed, index) < 2**40 <= builtin_seed(split, row) < 2**41


def test_seeds_are_distinct_and_limits_are_checked() -> None:
    assert len({simulation_seed(s, i) for s in range(30) for i in range(30)}) == 900
    assert len({builtin_seed(s, i) for s in SPLITS for i in range(30)}) == 90
    for seed, index in ((-1, 0), (2**20, 0), (0, 2**20)):
        with pytest.raises(ValueError, match="seed and index"):
            simulation_seed(seed, index)
    with pytest.raises(ValueError, match="unknown split"):
        builtin_seed("test", 0)
    with pytest.raises(ValueError, match="index"):
        builtin_seed("train", 2**32)
