"""A linear axis with round ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps [low, high] in data to [start, end] in the drawing."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value is drawn; values outside end at the edge."""
        inside = min(max(value, self.low), self.high)
        share = (inside - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, most: int = 4) -> tuple[tuple[float, str], ...]:
        """Round values inside the axis, at most about `most`, with their text."""
        step = _round_step((self.high - self.low) / most)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        places = max(0, -math.floor(math.log10(step) + 1e-9))
        values = [k * step for k in range(first, last + 1)]
        return tuple((v, f"{v:.{places}f}".replace("-", "−")) for v in values)


def axis(values: Iterable[float | None], start: float, end: float) -> Axis:
    """An axis that holds every known value, with a little room at both ends."""
    known = [v for v in values if v is not None and math.isfinite(v)] or [0.0, 1.0]
    low, high = min(known), max(known)
    room = 0.05 * (high - low) or max(abs(low) * 0.05, 0.05)
    return Axis(low - room, high + room, start, end)


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= rough * (1 - 1e-9))
