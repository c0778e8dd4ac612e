"""What `mindeye compare` found: differences image by image, and which are more than luck."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from mindeye_cli.report.blocks import (
    Block,
    Bullets,
    Cell,
    Group,
    Heading,
    Row,
    Section,
    Table,
    Text,
)
from mindeye_cli.report.context import Context
from mindeye_cli.report.findings import Comparison, Evaluation, Findings
from mindeye_cli.report.names import around, metric
from mindeye_cli.report.numbers import DASH, number, span

Json = dict[str, Any]
COLUMNS = ("metric", "difference", "p", "p, Holm", "p, sign test", "images", "better")
LEAST_P = 0.001


def build(findings: Findings, context: Context) -> Section | None:
    """A table for each pair of systems."""
    found = findings.of(Comparison)
    if not found:
        return None
    names = named(findings, context)
    blocks: list[Block] = []
    for item in found:
        first, *others = (names[Path(path)] for path in item.result["systems"])
        for other, comparison in zip(others, item.result["comparisons"], strict=True):
            blocks += _pair(comparison, {"first": first, "second": other})
    return Section(key="compared", title="Differences between systems", blocks=tuple(blocks))


def named(findings: Findings, context: Context) -> dict[Path, str]:
    """Compared systems as the rest of the page calls them, else by the end of their paths.

    The end is as long as it must be to tell them apart: no name stands for two systems.
    """
    here = {item.path.resolve(): item.name for item in findings.of(Evaluation)}
    given = [Path(p) for item in findings.of(Comparison) for p in item.result["systems"]]
    choices = {
        path: [here[path]]
        if path in here
        else [context.short(path), *("/".join(path.parts[-k:]) for k in range(2, len(path.parts)))]
        for path in given
    }
    names = {path: choice[0] for path, choice in choices.items()}
    for _ in range(max((len(choice) for choice in choices.values()), default=0)):
        used = Counter(
            [*names.values(), *(name for path, name in here.items() if path not in names)]
        )
        for path, choice in choices.items():
            if used[names[path]] > 1 and len(choice) > 1:
                names[path] = choice.pop(1)
    return names


def _pair(comparison: Json, names: dict[str, str]) -> list[Block]:
    """One pair: the metrics over all rows, then each subject's or seed's own."""
    title = f"{names['first']} against {names['second']}"
    rows = comparison.get("rows", {})
    groups = [_group("All rows" if rows else "", comparison["metrics"], names)]
    groups += [_group(name, row["metrics"], names) for name, row in rows.items()]
    table = Table(
        label=title,
        caption=f"Score of {names['first']} less that of {names['second']}, of the same images;"
        " 95 % interval below each difference. A system is better where Holm's p, over all metrics"
        f" and all pairs of one command{' (rows: over all of those too)' if rows else ''}, is below"
        " .05.",
        columns=COLUMNS,
        groups=tuple(groups),
    )
    lines = [line for group in (comparison, *rows.values()) for line in group["metrics"].values()]
    notes = list(dict.fromkeys(line["note"] for line in lines if line.get("note")))
    left_out = [(metric(name), why) for name, why in comparison.get("skipped", {}).items()]
    blocks: list[Block] = [Heading(title), table, *(Text(f"Over all rows: {n}.") for n in notes)]
    return [*blocks, Text("Left out:"), Bullets(tuple(left_out))] if left_out else blocks


def _group(title: str, lines: dict[str, Json], names: dict[str, str]) -> Group:
    return Group(title, tuple(_row(name, line, names) for name, line in lines.items()))


def _row(name: str, line: Json, names: dict[str, str]) -> Row:
    unit, ends = str(line.get("unit") or ""), around({"ci95": line["ci95"]})
    arrow = "↑" if line["direction"] == "higher" else "↓"
    cells = (
        Cell(_signed(line["difference"], unit), span(ends, unit) if ends else ""),
        *(Cell(_p(line.get(key))) for key in ("p", "p_holm", "sign_p")),
        Cell(str(line["n"]), f"{line['undefined']} undefined" if line.get("undefined") else ""),
        Cell(names[line["better"]] if line.get("better") else DASH),
    )
    return Row(f"{metric(name)} {arrow}", cells)


def _signed(value: float | None, unit: str) -> str:
    text = number(value, unit)
    return f"+{text}" if value is not None and value > 0 else text


def _p(value: float | None) -> str:
    return f"< {number(LEAST_P)}" if value is not None and value < LEAST_P else number(value)
