"""The generalisation panel: what `evaluate` recorded of it, table by table, whatever its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mindeye_cli.report.blocks import (
    Block,
    Bullets,
    Cell,
    Fold,
    Group,
    Heading,
    Row,
    Section,
    Table,
    Text,
)
from mindeye_cli.report.context import Context
from mindeye_cli.report.findings import Evaluation, Findings
from mindeye_cli.report.names import words
from mindeye_cli.report.numbers import DASH, span

ABOUT = (
    "What of a score is more than the nearest training image: scores by likeness to the training"
    " images, copies, held-out clusters, single trials, and how few dimensions would do."
)
MOST = 24  # entries of a list that is shown; longer ones are per image


def build(findings: Findings, context: Context) -> Section | None:
    """One part for each evaluation that has a panel."""
    blocks: list[Block] = []
    for item in findings.of(Evaluation):
        panel = item.scores.get("panel")
        if isinstance(panel, dict) and panel:
            blocks += [Heading(item.name), *_one(context.tidy(_without_long(panel)), item.name)]
    if not blocks:
        return None
    return Section(key="panel", title="Generalisation", blocks=(Text(ABOUT), *blocks))


def _one(panel: Mapping[str, Any], name: str) -> Iterable[Block]:
    facts = tuple((words(key), text(v)) for key, v in panel.items() if _plain(v))
    if facts:
        yield Bullets(facts)
    for key, value in panel.items():
        if key != "skipped" and not _plain(value):
            yield from _part(words(key), value, f"{words(key)}: {name}")
    skipped = panel.get("skipped")
    if isinstance(skipped, Mapping) and skipped:
        reasons = tuple((words(str(key)), str(why)) for key, why in skipped.items())
        yield Fold(f"Not measured: {name}", (Bullets(reasons),))


def _part(title: str, value: Any, label: str) -> Iterable[Block]:
    """A table of each level of a nested record."""
    if isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
        columns = list(dict.fromkeys(key for line in value for key in line if _short(line[key])))
        if columns:
            rows = tuple(
                Row(text(line.get(columns[0])), tuple(Cell(text(line.get(c))) for c in columns[1:]))
                for line in value
            )
            yield _table(title, label, [words(c) for c in columns], rows)
    elif isinstance(value, Mapping):
        plain = tuple(Row(words(str(k)), (Cell(text(v)),)) for k, v in value.items() if _short(v))
        if plain:
            yield _table(title, label, ["", "value"], plain)
        for key, inner in value.items():
            if not _short(inner):
                about = words(str(key)) or "itself"
                yield from _part(f"{title}, {about}", inner, f"{label}, {about}")


def _table(title: str, label: str, columns: Sequence[str], rows: tuple[Row, ...]) -> Table:
    heads = (columns[0] or "what", *columns[1:])
    caption = title[:1].upper() + title[1:] + "."
    return Table(label=label, caption=caption, columns=heads, groups=(Group("", rows),))


def text(value: Any) -> str:
    """A value of a record as a table shows it."""
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", "−")
    if isinstance(value, list):
        pair = len(value) == 2 and all(isinstance(v, float) for v in value)
        return span(value) if pair else ", ".join(map(text, value))
    if isinstance(value, Mapping) and "value" in value:
        ends = value.get("ci95") or value.get("range95")
        return text(value["value"]) + (f" ({text(ends)})" if ends else "")
    return str(value)


def _without_long(value: Any) -> Any:
    """A record without its values for each image."""
    if isinstance(value, Mapping):
        kept = {k: _without_long(v) for k, v in value.items()}
        return {k: v for k, v in kept.items() if not (isinstance(v, list) and len(v) > MOST)}
    return [_without_long(v) for v in value] if isinstance(value, list) else value


def _plain(value: Any) -> bool:
    return not isinstance(value, list | Mapping)


def _short(value: Any) -> bool:
    """Whether a value fits one cell: a number, a few of them, or a score with its interval."""
    if isinstance(value, list):
        return len(value) <= MOST and all(map(_plain, value))
    if isinstance(value, Mapping):
        return "value" in value and all(_plain(value[k]) for k in value if k == "value")
    return True
