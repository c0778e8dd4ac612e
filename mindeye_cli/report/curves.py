"""Training curves: one small panel a quantity, training and validation together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from mindeye_cli.report.collect import Run

WIDTH, HEIGHT = 320, 150
LEFT, RIGHT, TOP, BOTTOM = 48, 8, 10, 22
POINTS = 300
PREFIX = "validation_"
# What a log line says about itself, not about the model.
NOT_CURVES = ("step", "epoch", "seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A polyline in the panel's units, and its last value as text."""

    kind: str
    points: str
    last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One quantity over steps."""

    title: str
    curves: tuple[Curve, ...]
    low: str
    high: str
    first_step: str
    last_step: str


def panels(run: Run) -> tuple[Panel, ...]:
    """Panels of every number that the log has more than once."""
    series: dict[str, list[tuple[float, float]]] = {}
    for line in run.log:
        for key, value in line.items():
            if key not in NOT_CURVES and _finite(value) and _finite(line.get("step")):
                series.setdefault(key, []).append((float(line["step"]), float(value)))
    series = {key: points for key, points in series.items() if len(points) > 1}
    titles = list(dict.fromkeys(key.removeprefix(PREFIX) for key in series))
    return tuple(_panel(title, series) for title in titles)


def _finite(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _panel(title: str, series: dict[str, list[tuple[float, float]]]) -> Panel:
    kinds = {"training": series.get(title), "validation": series.get(PREFIX + title)}
    shown = {kind: points for kind, points in kinds.items() if points}
    steps = [step for points in shown.values() for step, _ in points]
    values = [value for points in shown.values() for _, value in points]
    box = (min(steps), max(steps), min(values), max(values))
    return Panel(
        title=title,
        curves=tuple(
            Curve(kind=kind, points=_polyline(points, box), last=f"{points[-1][1]:.4g}")
            for kind, points in shown.items()
        ),
        low=f"{box[2]:.3g}",
        high=f"{box[3]:.3g}",
        first_step=f"{box[0]:.0f}",
        last_step=f"{box[1]:.0f}",
    )


def _polyline(points: list[tuple[float, float]], box: tuple[float, float, float, float]) -> str:
    first, last, low, high = box
    across = (WIDTH - LEFT - RIGHT) / ((last - first) or 1.0)
    down = (HEIGHT - TOP - BOTTOM) / ((high - low) or 1.0)
    thin = points[:: max(1, len(points) // POINTS)]
    return " ".join(
        f"{LEFT + (step - first) * across:.1f},{TOP + (high - value) * down:.1f}"
        for step, value in thin
    )
