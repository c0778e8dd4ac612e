"""Scenes made from a scene: near-duplicates and hard negatives."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from mindeye_cli.core.scenes.forms import FORMS
from mindeye_cli.core.scenes.sample import free_place, jitter, pick, sample_background
from mindeye_cli.core.scenes.scene import Scene
from mindeye_cli.core.scenes.vocabulary import CATEGORIES, COLOURS, TEXTURES

CHANGES = ("colour", "position", "texture", "size", "background")
_KEY = 0x9E3779B97F4A7C15  # keeps these draws apart from sample_scene's


def _changed(scene: Scene, change: str, rng: Random) -> Scene:
    """The scene with one attribute of its main object, or its backdrop, drawn anew."""
    main, *others = scene.objects
    boxes = [(item.size, item.x, item.y) for item in others]
    if change == "background":
        fresh = sample_background(rng)
        while fresh.colour in {scene.background.colour, *(o.colour for o in scene.objects)}:
            fresh = sample_background(rng)
        tinted = replace(scene.background, colour=fresh.colour, rgb=fresh.rgb)
        return replace(scene, background=tinted)
    if change == "colour":
        taken = {main.colour, scene.background.colour}
        colour = pick(rng, [name for name in COLOURS if name not in taken])
        main = replace(main, colour=colour, rgb=jitter(rng, COLOURS[colour]))
    elif change == "texture":
        main = replace(main, texture=pick(rng, [t for t in TEXTURES if t != main.texture]))
    elif change == "size":
        largest_other = max((item.size for item in others), default=0.2)
        main = replace(main, size=round(max(main.size * 0.8, largest_other * 1.04), 4))
    else:
        for _ in range(8):
            place = free_place(rng, main.size, boxes)
            if place and max(abs(place[0] - main.x), abs(place[1] - main.y)) > 0.06:
                main = replace(main, x=place[0], y=place[1])
                break
        else:
            # A crowded scene has no other free place: a small step towards the middle.
            main = replace(main, x=round(main.x + (0.07 if main.x < 0.5 else -0.07), 4))
    return replace(scene, objects=(main, *others))


def near_duplicates(scene: Scene, count: int, seed: int) -> list[Scene]:
    """Scenes that differ from `scene` in exactly one attribute each.

    Parameters
    ----------
    scene : Scene
    count : int
        How many; the changes go round colour, position, texture, size and background tint.
    seed : int

    Returns
    -------
    list of Scene
    """
    rng = Random((scene.seed ^ _KEY) + (seed << 64))
    return [_changed(scene, CHANGES[index % len(CHANGES)], rng) for index in range(count)]


def other_category(scene: Scene, seed: int) -> Scene:
    """Hard negative: same backdrop and layout, the main object of another category.

    Parameters
    ----------
    scene : Scene
    seed : int

    Returns
    -------
    Scene
        The main object keeps its colour, texture, size and position.
    """
    rng = Random((scene.seed ^ _KEY) + (seed << 64) + 1)
    main, *others = scene.objects
    taken = {item.category for item in scene.objects}
    category = pick(rng, [name for name in CATEGORIES if name not in taken])
    variant = int(rng.random() * len(FORMS[category]))
    return replace(scene, objects=(replace(main, category=category, variant=variant), *others))
