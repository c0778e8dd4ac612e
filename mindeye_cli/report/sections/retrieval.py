"""Retrieval: both directions beside chance and permuted pairings, and what responses retrieve."""

from __future__ import annotations

from typing import Any

from mindeye_cli.report.blocks import (
    Block,
    Cell,
    Group,
    Heading,
    PictureRow,
    PictureTable,
    Row,
    Section,
    Table,
    Text,
)
from mindeye_cli.report.charts.intervals import cell
from mindeye_cli.report.context import Context
from mindeye_cli.report.findings import Findings, Retrieval
from mindeye_cli.report.names import areas
from mindeye_cli.report.numbers import number, span

TITLES = {
    "image_retrieval": "image retrieval (brain → image)",
    "brain_retrieval": "brain retrieval (image → brain)",
}
SCORES = {
    "top1": "top-1",
    "top5": "top-5",
    "top10": "top-10",
    "mean_rank": "mean rank",
    "median_rank": "median rank",
}
ROWS = 6


def build(findings: Findings, context: Context) -> Section | None:
    """One part for each result of `mindeye retrieve pool`."""
    blocks: list[Block] = []
    for item in findings.of(Retrieval):
        blocks += _one(item, context)
    if not blocks:
        return None
    return Section(key="retrieval", title="Retrieval", blocks=tuple(blocks))


def _one(item: Retrieval, context: Context) -> list[Block]:
    result = item.result
    blocks: list[Block] = [Heading(item.name), Text(facts(item))]
    pools = f"Pools of {result['pool']}, {result['draws']} drawn"
    blocks.append(_table(result, f"{pools}.", f"retrieval: {item.name}"))
    if "whole" in result:
        whole = f"The whole set of {result['n']} as one pool."
        blocks.append(_table(result["whole"], whole, f"retrieval, whole set: {item.name}"))
    blocks.append(neighbours(item, context))
    return blocks


def facts(item: Retrieval) -> str:
    """What was retrieved with what, in a sentence."""
    result = item.result
    average = result.get("average")
    repeats = "single trials" if average == "none" else f"average of {average}"
    parts = [
        f"{result.get('kind', '')} run to {result.get('space', '')}",
        f"subject {result.get('subject', '')}",
        f"{result['n']} {result.get('split', '')} images",
        f"repeats: {repeats}",
        f"similarity: {result.get('similarity', '')}",
    ]
    if areas(result):
        parts.append(readout(result))
    if result.get("note"):
        parts.append(str(result["note"]))
    return "; ".join(parts) + "."


def readout(result: dict[str, Any]) -> str:
    """Which areas the run read, and what random voxels like them retrieve."""
    found = result["readout"]
    random = found["controls"]["image_retrieval"]
    return (
        f"{areas(result)} ({found['voxels']} of {found['of']} voxels read); image retrieval from"
        f" random voxels of the same {found['controls']['matched']}: top-1 {number(random['top1'])}"
        f" ({span(random['range95'])})"
    )


def _table(source: dict[str, Any], caption: str, label: str) -> Table:
    groups = tuple(
        Group(title, tuple(_row(key, source[way]["scores"][key]) for key in SCORES))
        for way, title in TITLES.items()
    )
    return Table(
        label=label,
        caption=f"{caption} In the chart: the score and its 95 % interval over images, permuted"
        " pairings as a grey band, chance as a tick.",
        columns=("score", "value", "95 % interval", "chart", "chance", "permuted (95 % range)"),
        groups=groups,
    )


def _row(key: str, entry: dict[str, Any]) -> Row:
    unit = "rank" if key.endswith("rank") else ""
    permuted = entry["permuted"]
    controls = {
        "permuted": {"value": permuted["mean"], "range95": permuted["range95"]},
        "chance": {"value": entry["chance"]},
    }
    cells = (
        Cell(number(entry["value"], unit), tone="good"),
        Cell(span(entry["ci95"], unit)),
        Cell(drawing=cell({**entry, "controls": controls})),
        Cell(number(entry["chance"], unit)),
        Cell(number(permuted["mean"], unit), sub=span(permuted["range95"], unit)),
    )
    return Row(SCORES[key], cells)


def neighbours(item: Retrieval, context: Context) -> PictureTable:
    """Images from the best to the worst rank in equal steps, with what their responses retrieve."""
    result = item.result
    stimulus = context.stimulus("store", result["store"])
    table = sorted(result["images"], key=lambda line: (line["rank_image_retrieval"], line["id"]))
    count = min(ROWS, len(table))
    steps = [round(k * (len(table) - 1) / max(1, count - 1)) for k in range(count)]
    rows = []
    for step in steps:
        line = table[step]
        pictures = [stimulus(line["id"])]
        for place, other in enumerate(line["neighbours"], start=1):
            right = other["id"] == line["id"]
            alt = f"place {place}: {other['id']}" + (", the right image" if right else "")
            below = number(other["similarity"])
            pictures.append(stimulus(other["id"], alt=alt, below=below, marked=right))
        rank = f"rank {number(line['rank_image_retrieval'], 'rank')}"
        rows.append(PictureRow(line["id"], tuple(pictures), sub=rank))
    places = len(rows[0].pictures) - 1 if rows else 0
    return PictureTable(
        label=f"nearest images: {item.name}",
        caption=f"What brain responses retrieve among all {result['n']} images, nearest first, with"
        " the similarity; from the best to the worst rank in equal steps. The right image is"
        " outlined and marked ✓.",
        columns=("image", "stimulus", *(f"place {k + 1}" for k in range(places))),
        rows=tuple(rows),
    )
