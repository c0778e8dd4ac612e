"""The score sheet as a table: every metric beside its interval and all of its controls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mindeye_cli.report.collect import Evaluation
from mindeye_cli.report.numbers import DASH, number, span

WIDTH = 120  # units of the little chart
MARGIN = 4
# What some controls are, for the reader of the column's head.
MEANING = {
    "chance": "what guessing scores, where the definition says so",
    "permuted": "mean and 95 % range of 1,000 random pairings of reconstructions and stimuli",
    "stimulus": "the same reader on the true picture",
    "prior-only": "mean brain through the same decoder: what the generator makes by itself",
    "nearest-training": "the training image nearest to the predicted embedding",
    "ridge": "a linear model's prediction through the same decoder",
    "low-level": "the low-level picture alone",
    "high-level": "the high-level pipeline alone",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Positions of a row's little chart in [0, WIDTH]; None where a number is missing."""

    low: float | None
    value: float | None
    high: float | None
    null_low: float | None
    null_high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One metric as text."""

    name: str
    direction: str
    value: str
    ci95: str
    n: str
    cells: tuple[str, ...]
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The table of one reconstruction."""

    controls: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]
    skipped: tuple[tuple[str, str], ...]
    cards: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def sheet(evaluation: Evaluation) -> Sheet:
    """Turn an evaluation into text.

    Parameters
    ----------
    evaluation : Evaluation
    """
    metrics: dict[str, Any] = evaluation.scores["metrics"]
    names = list(dict.fromkeys(name for line in metrics.values() for name in line["controls"]))
    return Sheet(
        controls=tuple((name, MEANING.get(name, "reconstructions of that name")) for name in names),
        lines=tuple(_line(name, metric, names) for name, metric in metrics.items()),
        skipped=tuple(evaluation.scores["skipped"].items()),
        cards=tuple(
            (name, tuple((key, str(value)) for key, value in metric["card"].items()))
            for name, metric in metrics.items()
        ),
    )


def _line(name: str, metric: dict[str, Any], controls: list[str]) -> Line:
    unit = metric["unit"]
    undefined = f" ({metric['undefined']} undefined)" if metric["undefined"] else ""
    return Line(
        name=name,
        direction="higher is better" if metric["direction"] == "higher" else "lower is better",
        value=number(metric["value"], unit) + (" dB" if unit == "dB" else ""),
        ci95=span(metric["ci95"], unit),
        n=f"{metric['n']}{undefined}",
        cells=tuple(_cell(metric["controls"].get(key), unit) for key in controls),
        mark=_mark(metric),
    )


def _cell(control: dict[str, Any] | None, unit: str) -> str:
    if control is None or control.get("value") is None:
        return DASH
    around = control.get("range95") or control.get("ci95")
    text = number(control["value"], unit)
    return f"{text} ({span(around, unit)})" if around else text


def _mark(metric: dict[str, Any]) -> Mark:
    permuted = metric["controls"].get("permuted", {}).get("range95") or (None, None)
    values = [metric["ci95"][0], metric["value"], metric["ci95"][1], *permuted]
    known = [value for value in values if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    scale = (WIDTH - 2 * MARGIN) / ((high - low) or 1.0)
    places = [None if v is None else round(MARGIN + (v - low) * scale, 1) for v in values]
    return Mark(
        low=places[0], value=places[1], high=places[2], null_low=places[3], null_high=places[4]
    )
