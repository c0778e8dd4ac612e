"""From a scene to pixels: twice the size with flat colours, then averaged down."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

from mindeye_cli.core.scenes.backgrounds import mix, paint_background
from mindeye_cli.core.scenes.forms import FORMS, Layer
from mindeye_cli.core.scenes.scene import Scene, SceneObject
from mindeye_cli.core.scenes.vocabulary import CATEGORIES, Rgb

_SUPERSAMPLE = 2
_FIXED: dict[str, Rgb] = {
    "ink": (32, 30, 36),
    "white": (246, 246, 246),
    "skin": (238, 196, 165),
    "wood": (128, 88, 56),
    "leaf": (62, 138, 66),
    "gold": (246, 206, 70),
    "glass": (178, 216, 238),
    "lip": (190, 40, 60),
    "roof": (150, 62, 48),
    "navy": (50, 56, 96),
    "biscuit": (220, 170, 105),
}


@cache
def _pattern(texture: str, side: int) -> Image.Image:
    """Mask of a texture's darker part over the whole picture."""
    unit = side / 64
    row, column = np.divmod(np.arange(side * side).reshape(side, side) / unit, 64.0)
    row = np.floor(row / unit)
    if texture == "stripes":
        on = np.floor((row + np.floor(column)) / 4) % 2 == 0
    elif texture == "checks":
        on = (np.floor(row / 5) + np.floor(column / 5)) % 2 == 0
    else:
        on = ((row % 7) - 3) ** 2 + ((column % 7) - 3) ** 2 <= 4.5
    return Image.fromarray((on * 255).astype(np.uint8), "L")


def _paints(rgb: Rgb) -> dict[str, Rgb]:
    """Named paints of an object of this colour."""
    return _FIXED | {"main": rgb, "dark": mix(rgb, (20, 20, 25), 0.4)}


class _Pen:
    """Draws layers of primitives around an object's centre."""

    def __init__(self, item: SceneObject, side: int) -> None:
        self._half = item.size * side / 2
        self._x = item.x * side
        self._y = item.y * side

    def draw(self, target: ImageDraw.ImageDraw, layer: Layer, paints: dict[str, Rgb] | int) -> None:
        """Draw a layer; an int paints every primitive with that one value."""
        half, left, top = self._half, self._x, self._y
        for kind, paint, numbers in layer:
            fill = paints if isinstance(paints, int) else paints[paint]
            start = 1 if kind == "l" else 0
            points = [
                (left if i % 2 == 0 else top) + half * value
                for i, value in enumerate(numbers[start:])
            ]
            if kind == "e":
                target.ellipse(points, fill=fill)
            elif kind == "r":
                target.rectangle(points, fill=fill)
            elif kind == "p":
                target.polygon(points, fill=fill)
            else:
                width = max(1, round(numbers[0] * half))
                target.line(points, fill=fill, width=width, joint="curve")


def render(scene: Scene, size: int = 64) -> NDArray[np.uint8]:
    """Draw a scene.

    Parameters
    ----------
    scene : Scene
    size : int
        Width and height in pixels.

    Returns
    -------
    uint8 (size, size, 3)
        RGB; a pure function of the arguments.
    """
    side = size * _SUPERSAMPLE
    picture = paint_background(scene.background, side)
    draw = ImageDraw.Draw(picture)
    for item in reversed(scene.objects):
        behind, body, front = FORMS[item.category][item.variant]
        pen, paints = _Pen(item, side), _paints(item.rgb)
        pen.draw(draw, behind, paints)
        pen.draw(draw, body, paints)
        if item.texture != "plain":
            mask = Image.new("L", (side, side))
            pen.draw(ImageDraw.Draw(mask), body, 255)
            picture.paste(
                mix(item.rgb, (20, 20, 25), 0.2),
                (0, 0),
                ImageChops.multiply(mask, _pattern(item.texture, side)),
            )
        pen.draw(draw, front, paints)
    return np.asarray(picture.reduce(_SUPERSAMPLE))


def category_map(scene: Scene, size: int = 64) -> NDArray[np.uint8]:
    """Which category covers each pixel.

    Parameters
    ----------
    scene : Scene
    size : int
        Width and height in pixels.

    Returns
    -------
    uint8 (size, size)
        0 for background, else 1 + the index in `CATEGORIES`.
    """
    labels = Image.new("L", (size, size))
    draw = ImageDraw.Draw(labels)
    for item in reversed(scene.objects):
        pen = _Pen(item, size)
        for layer in FORMS[item.category][item.variant]:
            pen.draw(draw, layer, 1 + CATEGORIES.index(item.category))
    return np.asarray(labels)
