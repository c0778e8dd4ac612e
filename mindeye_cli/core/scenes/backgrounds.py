"""The eight backdrops, painted with a few large soft areas."""

from __future__ import annotations

from functools import cache

from PIL import Image, ImageDraw

from mindeye_cli.core.scenes.scene import Background
from mindeye_cli.core.scenes.vocabulary import Rgb

_SKY: Rgb = (165, 205, 235)
_GRASS: Rgb = (110, 160, 85)
_WOOD: Rgb = (165, 125, 90)
_NAVY: Rgb = (25, 30, 65)
_MOON: Rgb = (235, 230, 200)


def mix(first: Rgb, second: Rgb, share: float) -> Rgb:
    """Colour between two colours; `share` is the second one's part."""
    a, b, c = (round(p + (q - p) * share) for p, q in zip(first, second, strict=True))
    return a, b, c


@cache
def _ramp(side: int) -> Image.Image:
    """Mask that rises from 0 at the top to 255 at the bottom."""
    return Image.linear_gradient("L").resize((side, side))


def paint_background(background: Background, side: int) -> Image.Image:
    """Backdrop as an RGB picture of `side` x `side` pixels."""
    kind, rgb = background.kind, background.rgb
    level = round(background.horizon * side)
    unit = side / 64
    picture = Image.new("RGB", (side, side), rgb)
    draw = ImageDraw.Draw(picture)
    if kind == "sky":
        draw.rectangle((0, 0, side, level), fill=_SKY)
        draw.ellipse((44 * unit, 4 * unit, 58 * unit, 12 * unit), fill=(240, 245, 250))
    elif kind == "indoor":
        draw.rectangle((0, level, side, side), fill=_WOOD)
        draw.rectangle((0, level, side, level + 2 * unit), fill=mix(rgb, (255, 255, 255), 0.6))
    elif kind == "water":
        draw.rectangle((0, level, side, side), fill=mix(rgb, (35, 95, 165), 0.75))
        for row in range(level + round(5 * unit), side, round(9 * unit)):
            wave = mix(rgb, (110, 170, 220), 0.75)
            draw.rectangle((0, row, side, row + 2 * unit), fill=wave)
    elif kind == "field":
        hill = (-20 * unit, level - 6 * unit, 84 * unit, side * 2)
        draw.ellipse(hill, fill=_GRASS)
    elif kind == "night":
        draw.rectangle((0, 0, side, side), fill=mix(rgb, _NAVY, 0.8))
        draw.rectangle((0, level, side, side), fill=mix(rgb, (10, 10, 20), 0.6))
        draw.ellipse((5 * unit, 4 * unit, 15 * unit, 14 * unit), fill=_MOON)
    elif kind == "gradient":
        picture.paste(mix(rgb, (15, 15, 25), 0.75), (0, 0), _ramp(side))
    elif kind == "tiles":
        step = round(16 * unit)
        for row in range(4):
            for column in range(row % 2, 4, 2):
                corner = (column * step, row * step)
                end = (corner[0] + step - 1, corner[1] + step - 1)
                draw.rectangle((corner, end), fill=mix(rgb, (255, 255, 255), 0.22))
    return picture
