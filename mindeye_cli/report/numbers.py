"""Numbers as text, the same way in every table."""

from __future__ import annotations

from collections.abc import Sequence

DASH = "–"
PLACES = {"dB": 2, "rank": 1}


def number(value: float | None, unit: str = "") -> str:
    """A value with the decimals of its unit; a dash where there is none."""
    if value is None:
        return DASH
    text = f"{value:.{PLACES.get(unit, 3)}f}"
    return text.replace("-", "−")


def span(values: Sequence[float | None] | None, unit: str = "") -> str:
    """An interval, such as `0.31 to 0.38`."""
    if values is None or any(value is None for value in values):
        return DASH
    low, high = values
    return f"{number(low, unit)} to {number(high, unit)}"


def percent(value: float | None) -> str:
    """A share in per cent with one decimal; number and sign stay on one line."""
    return DASH if value is None else f"{100 * value:.1f}\u00a0%"
