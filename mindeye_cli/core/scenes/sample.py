"""Sampling of scenes: a pure function of one integer seed.

Only `random.Random(seed).random()` is drawn from, whose sequence Python guarantees across versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import TypeVar

from mindeye_cli.core.scenes.backgrounds import mix
from mindeye_cli.core.scenes.forms import FORMS
from mindeye_cli.core.scenes.scene import Background, Scene, SceneObject
from mindeye_cli.core.scenes.vocabulary import (
    BACKGROUNDS,
    CATEGORIES,
    COLOURS,
    COMPANIONS,
    TEXTURES,
    Rgb,
)

_Item = TypeVar("_Item")
_Box = tuple[float, float, float]
_SIZES = {1: ((0.42, 0.66),), 2: ((0.4, 0.52), (0.24, 0.34)), 3: ((0.36, 0.44), (0.22, 0.3))}
_COMPANION_SHARE = 0.8
_JITTER = 18


def pick(rng: Random, items: Sequence[_Item]) -> _Item:
    """One item, uniformly."""
    return items[int(rng.random() * len(items))]


def between(rng: Random, low: float, high: float) -> float:
    """A number in [low, high), rounded so that records stay short."""
    return round(low + (high - low) * rng.random(), 4)


def jitter(rng: Random, rgb: Rgb) -> Rgb:
    """A colour near `rgb`."""
    r, g, b = (min(255, max(0, value + round(_JITTER * (2 * rng.random() - 1)))) for value in rgb)
    return r, g, b


def sample_background(rng: Random) -> Background:
    """A backdrop with a tint softer than any object's colour."""
    kind, colour = pick(rng, BACKGROUNDS), pick(rng, tuple(COLOURS))
    soft = mix(jitter(rng, COLOURS[colour]), (170, 170, 170), 0.45)
    return Background(kind=kind, colour=colour, rgb=soft, horizon=between(rng, 0.4, 0.75))


def free_place(rng: Random, size: float, taken: Iterable[_Box]) -> tuple[float, float] | None:
    """A centre where an object of this size covers none of the boxes `(size, x, y)`."""
    boxes = tuple(taken)
    half = size / 2 + 0.02
    for _ in range(24):
        x, y = between(rng, half, 1 - half), between(rng, half, 1 - half)
        if all(max(abs(x - u), abs(y - v)) >= 0.48 * (size + other) for other, u, v in boxes):
            return x, y
    return None


def _categories(rng: Random, count: int, cooccurrence: bool) -> list[str]:
    """Distinct categories; with the switch on, the second is mostly the first one's companion."""
    chosen: list[str] = []
    while len(chosen) < count:
        category = pick(rng, CATEGORIES)
        if cooccurrence and len(chosen) == 1 and rng.random() < _COMPANION_SHARE:
            category = COMPANIONS[chosen[0]]
        if category not in chosen:
            chosen.append(category)
    return chosen


def sample_scene(seed: int, *, cooccurrence: bool = False) -> Scene:
    """Draw one scene.

    Parameters
    ----------
    seed : int
        Non-negative; see `mindeye_cli.core.scenes.seeds` for the ranges in use.
    cooccurrence : bool
        Tie the second object's category to the first one's (face with body, food with tool, ...).

    Returns
    -------
    Scene
        One to three objects, largest first, none hidden by another.
    """
    rng = Random(seed)
    background = sample_background(rng)
    count = 1 + int(rng.random() * 3)
    categories = _categories(rng, count, cooccurrence)
    names = [name for name in COLOURS if name != background.colour]
    objects: list[SceneObject] = []
    for index, category in enumerate(categories):
        low, high = _SIZES[count][min(index, 1)]
        size = between(rng, low, high)
        place = free_place(rng, size, ((o.size, o.x, o.y) for o in objects))
        if place is None:
            break
        colour = pick(rng, names)
        objects.append(
            SceneObject(
                category=category,
                colour=colour,
                rgb=jitter(rng, COLOURS[colour]),
                size=size,
                x=place[0],
                y=place[1],
                texture=pick(rng, TEXTURES),
                variant=int(rng.random() * len(FORMS[category])),
            )
        )
    objects.sort(key=lambda item: -item.size)
    return Scene(seed=seed, background=background, objects=tuple(objects))
