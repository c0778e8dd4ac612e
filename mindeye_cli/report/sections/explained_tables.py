"""Tables and drawings of `mindeye explain`, one for each of its three questions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mindeye_cli.report.blocks import (
    Block,
    Cell,
    Drawings,
    Fold,
    Group,
    Heading,
    Row,
    Table,
    Text,
)
from mindeye_cli.report.charts.intervals import Entry, forest
from mindeye_cli.report.numbers import DASH, number, percent, span

Line = dict[str, Any]
Column = tuple[str, Callable[[Line], Cell]]
# Areas that are drawn; the table has all of them.
DRAWN = 12
RESPONDS, USED, NEEDED = "responds", "used by decoder", "needed by decoder"
TITLES = {
    RESPONDS: "Which areas respond? (encoding)",
    USED: "Which areas does the decoder use? (attribution)",
    NEEDED: "Which areas does the decoder need? (occlusion)",
}
ABOUT = {
    RESPONDS: "The change of response that an encoding model, fitted to training images alone,"
    " expects: the mean over an area's voxels, each times its cross-validated r, in standard"
    " deviations of a voxel's responses. Intervals are over refits of the model.",
    USED: "The part of the decoded embedding's likeness to the image that comes from an area's"
    " measured responses (expected gradients). Areas of different atlases overlap; Shapley values"
    " count each voxel once. A decoder also uses voxels without signal that cancel others' noise.",
    NEEDED: "The likeness that is lost when an area's voxels are set to their mean, beside random"
    " voxels of the same number and noise ceiling. An area whose information stands elsewhere too"
    " is not needed.",
}


def question(kind: str, lines: dict[str, Line], label: str) -> Iterator[Block]:
    """Heading, drawing and table of one question's areas; nothing where there are none."""
    if not lines:
        return
    # What read predicted responses carries a remark after the question.
    known = next((name for name in TITLES if kind.startswith(name)), RESPONDS)
    remark = kind.removeprefix(known).strip()
    yield Heading(TITLES[known] + (f" {remark}" if remark else ""), level=4)
    yield Text(ABOUT[known])
    yield Drawings((_drawing(known, lines),))
    columns = _columns(known, next(iter(lines.values())))
    rows = tuple(
        Row(name, tuple(make(line) for _, make in columns), "named" if line.get("named") else "")
        for name, line in lines.items()
    )
    table = Table(
        label=f"{known}: {label}",
        caption=f"{TITLES[known].partition('?')[0]}, every area.",
        columns=("area", *(title for title, _ in columns)),
        groups=(Group("", rows),),
    )
    yield Fold(f"{len(rows)} areas in numbers: {known}, {label}", (table,))


def _drawing(kind: str, lines: dict[str, Line]) -> Any:
    first = list(lines.items())[:DRAWN]
    if kind == NEEDED:
        entries = []
        for name, line in first:
            entries.append(Entry(name, line["loss"], None))
            entries.append(Entry("random voxels", line["control"], line["range95"], control=True))
        return forest("loss of likeness", entries, None, "and 95 % range of random voxels")
    key = "share" if kind == USED else "score"
    entries = [Entry(name, line[key], line["ci95"]) for name, line in first]
    note = f"95 % intervals, the first {len(first)} of {len(lines)} areas"
    return forest("share of the difference" if kind == USED else "score", entries, None, note)


def _columns(kind: str, line: Line) -> tuple[Column, ...]:
    if kind == USED:
        return (
            ("share", lambda v: Cell(number(v["share"]), span(v["ci95"]))),
            ("Shapley value, voxels of no earlier area", _shapley),
        )
    if kind == NEEDED:
        return (
            ("loss", lambda v: Cell(number(v["loss"]))),
            ("random voxels", lambda v: Cell(number(v["control"]), span(v["range95"]))),
            ("p", lambda v: Cell(number(v["p"]))),
        )
    of_set = "q" in line
    places: tuple[Column, ...] = (
        ("p, unusual set", lambda v: Cell(number(v["unusual"]))),
        ("voxels, FDR 5 %", lambda v: Cell(percent(v["significant"]))),
    )
    if not of_set:
        places = (
            ("percentile among references", lambda v: Cell(_plain(v["percentile"]))),
            ("deviation", lambda v: Cell(number(v["deviation"]))),
        )
    return (
        ("score", lambda v: Cell(number(v["score"]), span(v["ci95"]))),
        ("p, all areas", lambda v: Cell(number(v["q" if of_set else "p"]))),
        *places,
        ("voxels", lambda v: Cell(str(v["voxels"]))),
    )


def _plain(value: float | None) -> str:
    return DASH if value is None else f"{value:.1f}"


def _shapley(line: Line) -> Cell:
    value = line["shapley"]
    return Cell(DASH) if value is None else Cell(number(value["value"]), f"± {value['error']:.3f}")
