"""Whether a score is clear of the control that it must beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mindeye_cli.report.names import MUST_BEAT, around

RULE = (
    "Clear of a control: the score's whole 95 % interval lies on the better side of the control's"
    " own interval or range. The control named is the hardest to beat of those that a decoder must"
    " beat: " + ", ".join(MUST_BEAT) + "."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The hardest control, its value and range, and whether the score is clear of it."""

    control: str
    value: float
    range95: list[float] | None
    clear: bool


def verdict(line: dict[str, Any]) -> Verdict | None:
    """Compare a metric with the hardest of its controls.

    Parameters
    ----------
    line : dict
        `value`, `ci95`, `direction`, `controls` (name -> `value` and `range95` or `ci95`).

    Returns
    -------
    Verdict or None
        None where the score or every control is undefined.
    """
    sign = 1.0 if line["direction"] == "higher" else -1.0
    beside = {
        name: entry
        for name, entry in line.get("controls", {}).items()
        if name in MUST_BEAT and entry.get("value") is not None
    }
    own = around({"ci95": line.get("ci95")})
    if not beside or own is None:
        return None

    def far(entry: dict[str, Any]) -> float:
        """The end of a control's range that is hardest to beat."""
        return max(sign * v for v in around(entry) or [entry["value"]])

    hardest = max(beside, key=lambda name: far(beside[name]))
    entry = beside[hardest]
    return Verdict(
        control=hardest,
        value=float(entry["value"]),
        range95=around(entry),
        clear=min(sign * v for v in own) > far(entry),
    )
