"""Several systems side by side: the table in a stated order, intervals by metric, and pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mindeye_cli.report.blocks import (
    Block,
    Cell,
    Drawing,
    Drawings,
    Group,
    Row,
    Section,
    Table,
    Text,
)
from mindeye_cli.report.charts.intervals import Entry, forest
from mindeye_cli.report.context import Context
from mindeye_cli.report.findings import Evaluation, Findings
from mindeye_cli.report.names import areas, around, controls_of, metric
from mindeye_cli.report.numbers import number, span
from mindeye_cli.report.ranking import comparable, ranked_by, ranking, subject, system
from mindeye_cli.report.sections.gallery import side_by_side

RULE = (
    "Order: mean rank over the metrics that all systems of the table have on the same pictures,"
    " within each subject (1 is best; systems with equal scores share the middle of their places;"
    " equal mean ranks are ordered by name). Controls are not ranked."
)
APART = (
    "These systems were scored on other images than those of the table above: the two cannot be"
    " compared."
)


def build(findings: Findings, context: Context) -> Section | None:
    """Every set of systems that can be compared, the largest first."""
    together = [group for group in comparable(findings.of(Evaluation)) if len(group) > 1]
    if not together:
        return None
    blocks: list[Block] = []
    for k, group in enumerate(together):
        ranked = ranking(group)
        blocks += [Text(APART)] if k else []
        blocks += [leaderboard(ranked), Drawings(_forests([item for item, _ in ranked]))]
        pictures = side_by_side([item for item, _ in ranked], context)
        blocks += [pictures] if pictures else []
    return Section(key="systems", title="Systems side by side", blocks=tuple(blocks))


def leaderboard(ranked: Sequence[tuple[Evaluation, float]]) -> Table:
    """One row a system and subject, then means over subjects, then the controls."""
    items = [item for item, _ in ranked]
    names = list(dict.fromkeys(name for item in items for name in item.scores["metrics"]))
    rows = []
    for item, rank in ranked:
        cells = [_cell(item.scores["metrics"].get(name)) for name in names]
        one = ", ".join(filter(None, (subject(item), areas(item.manifest or {}))))
        place = number(rank if math.isfinite(rank) else None, "rank")
        rows.append(Row(system(item), (Cell(place), *cells), sub=one))
    groups = [Group("Systems", tuple(rows)), *_means(items, names), *_controls(items, names)]
    n = items[0].scores.get("n", len(items[0].scores["ids"]))
    known = ranked_by(items)
    without = [metric(name) for name in names if name not in known]
    left_out = f" Without a place in the order: {', '.join(without)}." if without else ""
    return Table(
        label="systems",
        caption=f"{n} pictures a system; 95 % interval over images below each value."
        f" An arrow shows the better direction. {RULE}{left_out}",
        columns=("system", "mean rank", *(_head(name, items) for name in names)),
        groups=tuple(groups),
    )


def _head(name: str, items: Sequence[Evaluation]) -> str:
    line = next(i.scores["metrics"][name] for i in items if name in i.scores["metrics"])
    return f"{metric(name)} {'↑' if line['direction'] == 'higher' else '↓'}"


def _cell(line: dict[str, Any] | None) -> Cell:
    if line is None:
        return Cell(number(None))
    unit = line.get("unit") or ""
    ends = around(line)
    return Cell(number(line.get("value"), unit), sub=span(ends, unit) if ends else "")


def _means(items: Sequence[Evaluation], names: Sequence[str]) -> list[Group]:
    """Means over subjects; with so few of them an interval over subjects would mean nothing."""
    systems: dict[str, list[Evaluation]] = {}
    for item in items:
        systems.setdefault(system(item), []).append(item)
    rows = []
    for name, members in systems.items():
        if len(members) < 2:
            continue
        cells = []
        for key in names:
            lines = [m.scores["metrics"].get(key) or {} for m in members]
            values = [line.get("value") for line in lines]
            known = [v for v in values if v is not None]
            whole = float(np.mean(known)) if len(known) == len(values) else None
            cells.append(Cell(number(whole, lines[0].get("unit") or "")))
        rows.append(Row(name, (Cell(), *cells), sub=f"{len(members)} subjects"))
    title = "Mean over subjects (without an interval: subjects are too few to resample)"
    return [Group(title, tuple(rows))] if rows else []


def _controls(items: Sequence[Evaluation], names: Sequence[str]) -> list[Group]:
    """Each control once; where systems have different ones of a name, each names its system."""
    rows: dict[tuple[str, tuple[Cell, ...]], str] = {}
    for item in items:
        metrics = item.scores["metrics"]
        for control in controls_of(metrics):
            lines = [metrics.get(name, {}).get("controls", {}).get(control) for name in names]
            units = [metrics.get(name, {}).get("unit") for name in names]
            cells = [
                _cell(None if line is None else {**line, "unit": unit})
                for line, unit in zip(lines, units, strict=True)
            ]
            rows.setdefault((control, (Cell(), *cells)), system(item))
    found = [control for control, _ in rows]
    made = [
        Row(control, cells, sub=f"beside {name}" if found.count(control) > 1 else "")
        for (control, cells), name in rows.items()
    ]
    return [Group("Controls", tuple(sorted(made, key=lambda row: found.index(row.head))))]


def _forests(items: Sequence[Evaluation]) -> tuple[Drawing, ...]:
    """One drawing a metric: systems in order, then the first system's controls."""
    drawings = []
    for name, first in items[0].scores["metrics"].items():
        entries = []
        for item in items:
            line = item.scores["metrics"].get(name)
            if line is not None:
                label = " ".join(filter(None, (system(item), subject(item))))
                entries.append(Entry(label, line.get("value"), around({"ci95": line.get("ci95")})))
        drawings.append(metric_forest(name, first, entries))
    return tuple(drawings)


def metric_forest(name: str, line: dict[str, Any], entries: Sequence[Entry]) -> Drawing:
    """A metric's systems and controls in one drawing."""
    controls = line.get("controls", {})
    beside = [
        Entry(key, controls[key].get("value"), around(controls[key]), control=True)
        for key in controls_of({name: line})
    ]
    better = "higher is better" if line["direction"] == "higher" else "lower is better"
    return forest(metric(name), [*entries, *beside], around(controls.get("permuted", {})), better)
