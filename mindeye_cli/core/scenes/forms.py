"""Drawn forms of the ten categories, as primitives in a unit box.

A primitive is `(kind, paint, numbers)`: `e` ellipse and `r` rectangle by two corners, `p` polygon
by its points, `l` line by its width and points. Coordinates run over [-1, 1], y downwards. A form
has a layer behind the body, the body (which takes the texture) and a layer in front of it.
"""

from __future__ import annotations

import math

Primitive = tuple[str, str, tuple[float, ...]]
Layer = tuple[Primitive, ...]
Form = tuple[Layer, Layer, Layer]

_LETTERS: dict[str, tuple[tuple[float, ...], ...]] = {
    "A": ((0, 1, 0.5, 0, 1, 1), (0.2, 0.65, 0.8, 0.65)),
    "C": ((1, 0, 0, 0, 0, 1, 1, 1),),
    "E": ((1, 0, 0, 0, 0, 1, 1, 1), (0, 0.5, 0.8, 0.5)),
    "H": ((0, 0, 0, 1), (1, 0, 1, 1), (0, 0.5, 1, 0.5)),
    "L": ((0, 0, 0, 1, 1, 1),),
    "N": ((0, 1, 0, 0, 1, 1, 1, 0),),
    "O": ((0, 0, 1, 0, 1, 1, 0, 1, 0, 0),),
    "S": ((1, 0, 0, 0, 0, 0.5, 1, 0.5, 1, 1, 0, 1),),
    "T": ((0, 0, 1, 0), (0.5, 0, 0.5, 1)),
    "U": ((0, 0, 0, 1, 1, 1, 1, 0),),
}
_WORDS = ("HAT", "SUN", "TEA", "LOT", "CUE", "NOS")


def _word(text: str) -> Form:
    """A sign: a plate in the object's colour, printed with dark letters."""
    strokes: list[Primitive] = []
    for place, letter in enumerate(text):
        left = -0.82 + place * 0.58
        for stroke in _LETTERS[letter]:
            points = [
                left + 0.46 * value if axis % 2 == 0 else -0.32 + 0.64 * value
                for axis, value in enumerate(stroke)
            ]
            strokes.append(("l", "ink", (0.15, *points)))
    plate: Layer = (("r", "main", (-1, -0.55, 1, 0.55)),)
    return (("r", "ink", (-1.04, -0.62, 1.04, 0.62)),), plate, tuple(strokes)


def _polygon(points: int, inner: float, turn: float) -> tuple[float, ...]:
    """Vertices of a regular polygon, or of a star where `inner` is below 1."""
    flat: list[float] = []
    for step in range(points * 2):
        radius = 1.0 if step % 2 == 0 else inner
        angle = turn + math.pi * step / points
        flat += [radius * math.sin(angle), -radius * math.cos(angle)]
    return tuple(flat)


def _faces() -> list[Form]:
    hair: Layer = (("e", "ink", (-0.82, -1, 0.82, 0.5)),)
    head: Layer = (("e", "main", (-0.72, -0.8, 0.72, 1)),)
    eyes: Layer = (
        ("e", "white", (-0.5, -0.3, -0.08, 0.08)),
        ("e", "white", (0.08, -0.3, 0.5, 0.08)),
        ("e", "ink", (-0.38, -0.24, -0.14, 0.04)),
        ("e", "ink", (0.14, -0.24, 0.38, 0.04)),
        ("l", "dark", (0.1, 0, 0.05, -0.1, 0.32, 0.06, 0.34)),
    )
    smile: Primitive = ("p", "lip", (-0.4, 0.5, 0.4, 0.5, 0.2, 0.76, -0.2, 0.76))
    mouth: Primitive = ("e", "lip", (-0.24, 0.48, 0.24, 0.82))
    bald: Layer = (
        ("e", "dark", (-0.95, -0.2, -0.55, 0.35)),
        ("e", "dark", (0.55, -0.2, 0.95, 0.35)),
    )
    return [(hair, head, (*eyes, smile)), (bald, head, (*eyes, mouth))]


def _bodies() -> list[Form]:
    legs: Layer = (
        ("l", "navy", (0.26, -0.2, 0.25, -0.28, 0.95)),
        ("l", "navy", (0.26, 0.2, 0.25, 0.28, 0.95)),
    )
    torso: Layer = (("p", "main", (-0.42, -0.45, 0.42, -0.45, 0.34, 0.42, -0.34, 0.42)),)
    head: Layer = (
        ("e", "skin", (-0.25, -1, 0.25, -0.5)),
        ("p", "ink", (-0.26, -0.76, -0.16, -1, 0.16, -1, 0.26, -0.76)),
    )
    down: Layer = (
        ("l", "skin", (0.19, -0.4, -0.36, -0.75, 0.3)),
        ("l", "skin", (0.19, 0.4, -0.36, 0.75, 0.3)),
    )
    wave: Layer = (
        ("l", "skin", (0.19, -0.4, -0.36, -0.75, 0.3)),
        ("l", "skin", (0.19, 0.4, -0.36, 0.8, -0.9)),
    )
    return [((*legs, *down), torso, head), ((*legs, *wave), torso, head)]


def _houses() -> list[Form]:
    wall: Layer = (("r", "main", (-0.78, -0.2, 0.78, 0.95)),)
    roof: Primitive = ("p", "roof", (-1, -0.2, 0, -1, 1, -0.2))
    door: Primitive = ("r", "wood", (-0.18, 0.35, 0.18, 0.95))
    windows: Layer = (
        ("r", "glass", (-0.62, 0, -0.28, 0.34)),
        ("r", "glass", (0.28, 0, 0.62, 0.34)),
    )
    tower: Layer = (("r", "main", (-0.58, -0.45, 0.58, 0.95)),)
    tower_front: Layer = (
        ("p", "roof", (-0.75, -0.45, 0, -1, 0.75, -0.45)),
        ("r", "glass", (-0.4, -0.25, -0.08, 0.1)),
        ("r", "glass", (0.08, -0.25, 0.4, 0.1)),
        ("r", "wood", (-0.2, 0.4, 0.2, 0.95)),
    )
    return [((), wall, (roof, door, *windows)), ((), tower, tower_front)]


def _foods() -> list[Form]:
    apple: Layer = (
        ("e", "main", (-0.8, -0.5, 0.25, 0.9)),
        ("e", "main", (-0.25, -0.5, 0.8, 0.9)),
    )
    stem: Layer = (
        ("l", "wood", (0.14, 0, -0.4, 0.08, -0.9)),
        ("e", "leaf", (0.06, -0.95, 0.62, -0.6)),
    )
    cone: Layer = (("p", "biscuit", (-0.5, 0, 0.5, 0, 0, 1)),)
    scoop: Layer = (("e", "main", (-0.62, -0.95, 0.62, 0.2)),)
    cherry: Layer = (("e", "lip", (-0.17, -1, 0.17, -0.68)),)
    return [((), apple, stem), (cone, scoop, cherry)]


def _animals() -> list[Form]:
    legs: Layer = tuple(("r", "dark", (x, 0.2, x + 0.2, 0.85)) for x in (-0.7, -0.36, 0.12, 0.44))
    tail: Primitive = ("l", "dark", (0.15, -0.7, -0.05, -0.98, -0.6))
    trunk: Layer = (
        ("e", "main", (-0.85, -0.35, 0.7, 0.45)),
        ("e", "main", (0.35, -0.8, 1, -0.1)),
    )
    head: Layer = (
        ("p", "dark", (0.38, -0.62, 0.42, -1, 0.62, -0.74)),
        ("p", "dark", (0.72, -0.76, 0.92, -1, 0.95, -0.6)),
        ("e", "ink", (0.68, -0.58, 0.84, -0.4)),
    )
    fin: Layer = (
        ("p", "dark", (-0.4, 0, -1, -0.55, -1, 0.55)),
        ("p", "dark", (-0.2, -0.3, 0.1, -0.75, 0.35, -0.3)),
    )
    fish: Layer = (("e", "main", (-0.6, -0.5, 1, 0.5)),)
    eye: Layer = (
        ("e", "white", (0.5, -0.25, 0.76, 0.02)),
        ("e", "ink", (0.57, -0.18, 0.7, -0.05)),
    )
    return [((*legs, tail), trunk, head), (fin, fish, eye)]


def _vehicles() -> list[Form]:
    wheels: Layer = tuple(
        part
        for x in (-0.55, 0.55)
        for part in (
            ("e", "ink", (x - 0.27, 0.2, x + 0.27, 0.74)),
            ("e", "white", (x - 0.11, 0.36, x + 0.11, 0.58)),
        )
    )
    car: Layer = (
        ("r", "main", (-1, -0.08, 1, 0.46)),
        ("p", "main", (-0.7, -0.08, -0.45, -0.6, 0.35, -0.6, 0.62, -0.08)),
    )
    panes: Layer = (
        ("p", "glass", (-0.52, -0.1, -0.37, -0.48, -0.1, -0.48, -0.1, -0.1)),
        ("p", "glass", (0.02, -0.1, 0.02, -0.48, 0.28, -0.48, 0.46, -0.1)),
    )
    cabin: Layer = (("r", "dark", (0.38, -0.3, 1, 0.46)),)
    cargo: Layer = (("r", "main", (-1, -0.72, 0.32, 0.46)),)
    front: Layer = (("r", "glass", (0.6, -0.2, 0.92, 0.1)),)
    return [((), car, (*panes, *wheels)), (cabin, cargo, (*front, *wheels))]


def _tools() -> list[Form]:
    handle: Layer = (("p", "wood", (-0.14, -0.5, 0.14, -0.5, 0.16, 1, -0.16, 1)),)
    hammer: Layer = (
        ("r", "main", (-0.62, -0.95, 0.5, -0.4)),
        ("p", "main", (0.5, -0.95, 1, -0.45, 0.5, -0.55)),
    )
    spade: Layer = (("p", "main", (-0.5, 0.05, 0.5, 0.05, 0.46, 0.6, 0, 1, -0.46, 0.6)),)
    shaft: Layer = (
        ("r", "wood", (-0.12, -0.9, 0.12, 0.1)),
        ("r", "wood", (-0.42, -1, 0.42, -0.78)),
    )
    return [(handle, hammer, ()), (shaft, spade, ())]


def _plants() -> list[Form]:
    stem: Layer = (
        ("l", "leaf", (0.14, 0, -0.1, 0, 1)),
        ("e", "leaf", (0, 0.3, 0.6, 0.62)),
        ("e", "leaf", (-0.6, 0.5, 0, 0.82)),
    )
    petals: list[Primitive] = []
    for step in range(6):
        angle = math.pi * step / 3
        x, y = 0.42 * math.sin(angle), -0.4 - 0.42 * math.cos(angle)
        petals.append(("e", "main", (x - 0.28, y - 0.28, x + 0.28, y + 0.28)))
    trunk: Layer = (("r", "wood", (-0.16, 0.1, 0.16, 1)),)
    crown: Layer = (
        ("e", "main", (-0.85, -0.6, 0.15, 0.4)),
        ("e", "main", (-0.15, -0.6, 0.85, 0.4)),
        ("e", "main", (-0.52, -1, 0.52, 0.1)),
    )
    heart: Layer = (("e", "gold", (-0.24, -0.64, 0.24, -0.16)),)
    return [(stem, tuple(petals), heart), (trunk, crown, ())]


def _shapes() -> list[Form]:
    outlines: list[Primitive] = [
        ("e", "main", (-0.9, -0.9, 0.9, 0.9)),
        ("r", "main", (-0.8, -0.8, 0.8, 0.8)),
        ("p", "main", (0, -0.9, 0.95, 0.8, -0.95, 0.8)),
        ("p", "main", _polygon(5, 0.42, 0.0)),
        ("p", "main", (0, -1, 0.8, 0, 0, 1, -0.8, 0)),
    ]
    return [((), (outline,), ()) for outline in outlines]


def _mirror(form: Form) -> Form:
    """The form seen from the other side."""

    def turn(primitive: Primitive) -> Primitive:
        kind, paint, numbers = primitive
        if kind in "er":
            x0, y0, x1, y1 = numbers
            return kind, paint, (-x1, y0, -x0, y1)
        start = 1 if kind == "l" else 0
        points = [-v if i % 2 == 0 else v for i, v in enumerate(numbers[start:])]
        return kind, paint, (*numbers[:start], *points)

    behind, body, front = (tuple(turn(p) for p in layer) for layer in form)
    return behind, body, front


FORMS: dict[str, tuple[Form, ...]] = {
    "face": tuple(_faces()),
    "body": (*_bodies(), _mirror(_bodies()[1])),
    "house": tuple(_houses()),
    "word": tuple(_word(text) for text in _WORDS),
    "food": (*_foods(), _mirror(_foods()[0])),
    "animal": tuple(f for form in _animals() for f in (form, _mirror(form))),
    "vehicle": tuple(f for form in _vehicles() for f in (form, _mirror(form))),
    "tool": (*_tools(), _mirror(_tools()[0])),
    "plant": tuple(_plants()),
    "shape": tuple(_shapes()),
}
