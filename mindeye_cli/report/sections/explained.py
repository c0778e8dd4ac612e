"""What `mindeye explain` found: the areas that answer for an image or a set of images."""

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
from mindeye_cli.report.context import Context
from mindeye_cli.report.findings import Explanation, Findings
from mindeye_cli.report.names import words
from mindeye_cli.report.pictures import SUFFIXES
from mindeye_cli.report.sections.panel import text


def build(findings: Findings, context: Context) -> Section | None:
    """One part for each result of `mindeye explain`."""
    blocks: list[Block] = []
    for item in findings.of(Explanation):
        blocks += [Heading(item.name)]
        if item.result.get("question"):
            blocks.append(Text(str(item.result["question"])))
        blocks.append(_table(item))
        blocks += _maps(item, context)
    if not blocks:
        return None
    return Section(key="explained", title="Brain areas", blocks=tuple(blocks))


def _table(item: Explanation) -> Table:
    rois: dict[str, Any] = item.result["rois"]
    columns = list(dict.fromkeys(key for line in rois.values() for key in line))
    rows = tuple(
        Row(str(name), tuple(Cell(text(line.get(key))) for key in columns))
        for name, line in rois.items()
    )
    return Table(
        label=f"areas: {item.name}",
        caption="Brain areas in the order of the result, with their scores.",
        columns=("area", *map(words, columns)),
        groups=(Group("", rows),),
    )


def _maps(item: Explanation, context: Context) -> list[Block]:
    """Pictures that stand beside the result."""
    files = [file for file in sorted(item.path.parent.iterdir()) if file.suffix in SUFFIXES]
    rows = tuple(
        PictureRow(file.stem, (context.picture(file, f"{file.stem} of {item.name}"),))
        for file in files
    )
    if not rows:
        return []
    caption = "Pictures that were written beside the result."
    label = f"pictures: {item.name}"
    return [PictureTable(label=label, caption=caption, columns=("name", "picture"), rows=rows)]
