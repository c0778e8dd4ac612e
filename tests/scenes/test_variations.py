"""Near-duplicates differ in one attribute; hard negatives keep the layout."""

from __future__ import annotations

import numpy as np

from mindeye_cli.core.scenes import near_duplicates, other_category, render, sample_scene
from mindeye_cli.core.scenes.scene import Scene

SCENES = [sample_scene(seed) for seed in range(2000, 2080)]
GROUPS = (("colour", "rgb"), ("x", "y"), ("texture",), ("size",), ("category", "variant"))


def _differences(first: Scene, second: Scene) -> list[tuple[str, ...]]:
    """Attribute groups in which two records differ."""
    a, b = first.record(), second.record()
    found = [
        group
        for group in GROUPS
        if any(a["objects"][0][key] != b["objects"][0][key] for key in group)
    ]
    assert a["objects"][1:] == b["objects"][1:]
    for key in ("kind", "horizon"):
        assert a["background"][key] == b["background"][key]
    if a["background"] != b["background"]:
        found.append(("background",))
    return found


def test_near_duplicates_differ_in_exactly_one_attribute() -> None:
    for scene in SCENES:
        group = near_duplicates(scene, 5, seed=3)
        changes = [_differences(scene, twin) for twin in group]
        assert [len(change) for change in changes] == [1] * 5
        assert len({change[0] for change in changes}) == 5
        for twin in group:
            assert not np.array_equal(render(scene), render(twin))
            sizes = [item.size for item in twin.objects]
            assert sizes == sorted(sizes, reverse=True)
            for item in twin.objects:
                assert item.size / 2 <= min(item.x, item.y, 1 - item.x, 1 - item.y) + 1e-9


def test_near_duplicates_are_a_pure_function_of_scene_and_seed() -> None:
    scene = SCENES[0]
    assert near_duplicates(scene, 7, seed=1) == near_duplicates(scene, 7, seed=1)
    assert near_duplicates(scene, 7, seed=1) != near_duplicates(scene, 7, seed=2)


def test_hard_negatives_change_the_main_category_alone() -> None:
    for scene in SCENES:
        other = other_category(scene, seed=4)
        assert _differences(scene, other) == [("category", "variant")]
        assert other.objects[0].category not in {item.category for item in scene.objects}
        assert other == other_category(scene, seed=4)
        assert not np.array_equal(render(scene), render(other))
