"""Names the procedural scenes are made of: categories, colours, textures and backgrounds."""

from __future__ import annotations

Rgb = tuple[int, int, int]

CATEGORIES = (
    "face",
    "body",
    "house",
    "word",
    "food",
    "animal",
    "vehicle",
    "tool",
    "plant",
    "shape",
)

COLOURS: dict[str, Rgb] = {
    "red": (205, 45, 45),
    "orange": (240, 140, 40),
    "yellow": (245, 215, 60),
    "green": (60, 160, 75),
    "cyan": (60, 195, 205),
    "blue": (50, 90, 205),
    "purple": (135, 65, 175),
    "pink": (240, 140, 185),
    "brown": (130, 85, 50),
    "white": (238, 238, 232),
}

TEXTURES = ("plain", "stripes", "dots", "checks")

BACKGROUNDS = (
    "sky",
    "indoor",
    "water",
    "field",
    "night",
    "gradient",
    "tiles",
    "plain",
)

# Pairs that the co-occurrence switch puts into the same scene.
COMPANIONS: dict[str, str] = {
    "face": "body",
    "body": "face",
    "food": "tool",
    "tool": "food",
    "house": "plant",
    "plant": "house",
    "vehicle": "word",
    "word": "vehicle",
    "animal": "shape",
    "shape": "animal",
}
