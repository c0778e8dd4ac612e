"""Scores with their intervals, and controls: a small one in a table's cell, a large one by metric.

Colour never carries meaning alone: a score is a filled dot with a thick line, a control a hollow
diamond with a thin one, permuted pairings a band.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mindeye_cli.report.blocks import Attributes, Drawing, Shape
from mindeye_cli.report.charts.axis import Axis, axis
from mindeye_cli.report.names import around
from mindeye_cli.report.numbers import number, span

CELL_WIDTH, CELL_HEIGHT = 120, 18
WIDTH, ROW, LABELS, RIGHT, TOP, BOTTOM = 340, 20, 128, 12, 6, 22
LETTERS = 20  # of a label; longer ones are cut, the table has them whole


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a large drawing."""

    label: str
    value: float | None
    interval: Sequence[float] | None
    control: bool = False


def cell(line: dict[str, Any]) -> Drawing:
    """The drawing in a table's cell: band of permuted pairings, controls as ticks, the score."""
    controls = line.get("controls", {})
    null = around(controls.get("permuted", {}))
    own = around({"ci95": line.get("ci95")})
    ticks = [c["value"] for n, c in controls.items() if n != "permuted" and "value" in c]
    known = [line["value"], *(own or []), *(null or []), *ticks]
    scale = axis(known, 3, CELL_WIDTH - 3)
    middle = CELL_HEIGHT / 2
    shapes = [_line("axis", 0, middle, CELL_WIDTH, middle)]
    if null:
        shapes.append(_band(scale, null, 4, CELL_HEIGHT - 8))
    shapes += [_line("tick", scale.at(v), 3, scale.at(v), 15) for v in ticks if v is not None]
    shapes += _score(scale, line["value"], own, middle)
    return Drawing(width=CELL_WIDTH, height=CELL_HEIGHT, shapes=tuple(shapes))


def forest(
    title: str, entries: Sequence[Entry], band: Sequence[float] | None, note: str
) -> Drawing:
    """One metric: a line for each system and control, with an axis below.

    Parameters
    ----------
    title : str
        The metric.
    entries : sequence of Entry
    band : (low, high), optional
        Range of permuted pairings.
    note : str
        Follows the title in the caption, such as the direction.
    """
    values = [v for e in entries for v in (e.value, *(e.interval or ()))]
    scale = axis([*values, *(band or ())], LABELS, WIDTH - RIGHT)
    bottom = TOP + ROW * len(entries)
    shapes = [] if band is None else [_band(scale, band, TOP, bottom - TOP)]
    for value, text in scale.ticks():
        place = scale.at(value)
        shapes.append(_line("grid", place, TOP, place, bottom))
        shapes.append(_text(place, bottom + 15, text, "middle"))
    shapes.append(_line("axis", LABELS, bottom, WIDTH - RIGHT, bottom))
    for k, entry in enumerate(entries):
        middle = TOP + ROW * (k + 0.5)
        label = entry.label if len(entry.label) <= LETTERS else entry.label[: LETTERS - 1] + "…"
        shapes.append(_text(LABELS - 8, middle + 4, label, "end", strong=not entry.control))
        draw = _control if entry.control else _score
        shapes += draw(scale, entry.value, entry.interval, middle)
    return Drawing(
        width=WIDTH,
        height=bottom + BOTTOM,
        shapes=tuple(shapes),
        alt=f"{title}: " + "; ".join(_words(entry) for entry in entries),
        caption=f"{title}, {note}",
    )


def _words(entry: Entry) -> str:
    ends = f" ({span(entry.interval)})" if entry.interval else ""
    return f"{entry.label} {number(entry.value)}{ends}"


def _score(
    scale: Axis, value: float | None, interval: Sequence[float] | None, y: float
) -> list[Shape]:
    shapes = []
    if interval:
        shapes.append(_line("interval", scale.at(interval[0]), y, scale.at(interval[1]), y))
    if value is not None:
        place: Attributes = {"class": "dot", "cx": scale.at(value), "cy": y, "r": 4}
        shapes.append(Shape(tag="circle", attributes=place))
    return shapes


def _control(
    scale: Axis, value: float | None, interval: Sequence[float] | None, y: float
) -> list[Shape]:
    shapes = []
    if interval:
        shapes.append(_line("around", scale.at(interval[0]), y, scale.at(interval[1]), y))
    if value is not None:
        x = scale.at(value)
        diamond = f"M{x},{y - 4.5}L{x + 4.5},{y}L{x},{y + 4.5}L{x - 4.5},{y}Z"
        shapes.append(Shape(tag="path", attributes={"class": "control", "d": diamond}))
    return shapes


def _band(scale: Axis, ends: Sequence[float], y: float, height: float) -> Shape:
    low, high = scale.at(min(ends)), scale.at(max(ends))
    width = round(max(high - low, 1.5), 1)
    place: Attributes = {"class": "null", "x": low, "y": y, "width": width, "height": height}
    return Shape(tag="rect", attributes=place)


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Shape:
    ends: Attributes = {"class": kind, "x1": x1, "y1": y1, "x2": x2, "y2": y2}
    return Shape(tag="line", attributes=ends)


def _text(x: float, y: float, text: str, anchor: str, *, strong: bool = False) -> Shape:
    place: Attributes = {"x": x, "y": y, "text-anchor": anchor}
    return Shape(tag="text", attributes=place | ({"class": "strong"} if strong else {}), text=text)
