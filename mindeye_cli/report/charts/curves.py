"""Curves over steps: one small panel a quantity, training and validation together."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from mindeye_cli.report.blocks import Attributes, Drawing, Shape
from mindeye_cli.report.charts.axis import Axis, axis

WIDTH, HEIGHT = 340, 180
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 10, 26
POINTS = 300  # of a curve; more would not be seen
PREFIX = "validation_"
# What a log line says about itself, not about the model.
NOT_CURVES = ("step", "epoch", "seconds")
Points = list[tuple[float, float]]


def panels(log: Iterable[dict[str, Any]]) -> tuple[Drawing, ...]:
    """Panels of every number that a log has more than once."""
    series: dict[str, Points] = {}
    for line in log:
        for key, value in line.items():
            if key not in NOT_CURVES and _finite(value) and _finite(line.get("step")):
                series.setdefault(key, []).append((float(line["step"]), float(value)))
    series = {key: points for key, points in series.items() if len(points) > 1}
    titles = dict.fromkeys(key.removeprefix(PREFIX) for key in series)
    return tuple(_panel(title, series) for title in titles)


def _finite(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _panel(title: str, series: dict[str, Points]) -> Drawing:
    kinds = {"training": series.get(title), "validation": series.get(PREFIX + title)}
    shown = {kind: points for kind, points in kinds.items() if points}
    steps = [step for points in shown.values() for step, _ in points]
    values = [value for points in shown.values() for _, value in points]
    across = Axis(min(steps), max(max(steps), min(steps) + 1), LEFT, WIDTH - RIGHT)
    up = axis(values, HEIGHT - BOTTOM, TOP)
    lines = tuple(_curve(kind, points, across, up) for kind, points in shown.items())
    how = {"training": "solid", "validation": "dashed"}
    ends = ", ".join(f"{k} ({how[k]}) ends at {p[-1][1]:.4g}" for k, p in shown.items())
    about = f"steps {min(steps):.0f} to {max(steps):.0f}, {min(values):.3g} to {max(values):.3g}"
    return Drawing(
        width=WIDTH,
        height=HEIGHT,
        shapes=(*_frame(across, up), *lines),
        alt=f"{title} over {about}; {ends}",
        caption=f"{title}: {ends}",
    )


def _frame(across: Axis, up: Axis) -> tuple[Shape, ...]:
    shapes = []
    for value, text in up.ticks():
        y = up.at(value)
        ends: Attributes = {"class": "grid", "x1": LEFT, "x2": WIDTH - RIGHT, "y1": y, "y2": y}
        shapes.append(Shape(tag="line", attributes=ends))
        place: Attributes = {"x": LEFT - 6, "y": y + 4, "text-anchor": "end"}
        shapes.append(Shape(tag="text", attributes=place, text=text))
    corner = f"M{LEFT},{TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"
    shapes.append(Shape(tag="path", attributes={"class": "axis", "d": corner}))
    texts = (
        (LEFT, f"step {across.low:.0f}", "start"),
        (WIDTH - RIGHT, f"{across.high:.0f}", "end"),
    )
    for x, text, anchor in texts:
        place = {"x": x, "y": HEIGHT - 8, "text-anchor": anchor}
        shapes.append(Shape(tag="text", attributes=place, text=text))
    return tuple(shapes)


def _curve(kind: str, points: Points, across: Axis, up: Axis) -> Shape:
    # Every n-th point and the last one, which is the number that the caption tells.
    thin = points[:: max(1, len(points) // POINTS)]
    thin = thin if thin[-1] == points[-1] else [*thin, points[-1]]
    place = " ".join(f"{across.at(step)},{up.at(value)}" for step, value in thin)
    return Shape(tag="polyline", attributes={"class": kind, "points": place})
