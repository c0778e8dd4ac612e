"""Published scores of other systems, on request: each with its source and test-set size."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from mindeye_cli.core.source_datasets import NSD, SIMULATION
from mindeye_cli.report.blocks import Block, Cell, Group, Note, Row, Section, Table
from mindeye_cli.report.context import Context
from mindeye_cli.report.findings import Evaluation, Findings
from mindeye_cli.report.names import metric
from mindeye_cli.report.numbers import DASH, number
from mindeye_cli.report.ranking import subject, system
from mindeye_cli.report.sections import origin

FILE = Path(__file__).parent.parent / "published.toml"
COLUMNS = ("pixcorr", "ssim", "alexnet2", "alexnet5", "inception", "clip", "effnet", "swav")
LOWER = ("effnet", "swav")
NOT_COMPARABLE = {
    SIMULATION: "The data of this page are simulated. The published scores below were measured on"
    " NSD: the two are not comparable, and none of this page's scores stand in this table.",
    "": "The data of this page are not known to be NSD. The published scores below were measured on"
    " NSD: the two are not comparable, and none of this page's scores stand in this table.",
}
CAUTION = (
    "Scores are comparable only for the same test images and the same protocol. Sets of 982 and of"
    " 1,000 images are not the same. The published values come from the tables named and have no"
    " intervals; this program has not scored those systems."
)


def read() -> dict[str, Any]:
    """The table of published scores."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def build(findings: Findings, context: Context) -> Section | None:
    """The table, only when it was asked for."""
    if not context.options.published:
        return None
    sources = origin.sources(findings, context)
    document = read()
    groups, blocks = [], list[Block]()
    if NSD in sources and SIMULATION not in sources:
        blocks.append(Note(title="Read with care", text=CAUTION, warning=True))
        groups.append(Group("On this page", _own(findings)))
    else:
        text = NOT_COMPARABLE[SIMULATION if SIMULATION in sources else ""]
        blocks.append(Note(title="Not comparable", text=text, warning=True))
    rows = tuple(_row(entry, document["sources"]) for entry in document["system"])
    groups.append(Group("Published (mean of subjects 1, 2, 5, 7)", rows))
    heads = [f"{metric(name)} {'↓' if name in LOWER else '↑'}" for name in COLUMNS]
    table = Table(
        label="published scores",
        caption="Published scores on NSD, with the source that they were read in and the number of"
        f" test images. {DASH}: not found in a source that could be read; such values are never"
        " filled in from memory. An arrow shows the better direction.",
        columns=("system", *heads, "test images", "source"),
        groups=tuple(group for group in groups if group.rows),
    )
    return Section(key="published", title="Published scores", blocks=(*blocks, table))


def _row(entry: dict[str, Any], sources: dict[str, str]) -> Row:
    cells = [Cell(number(entry["scores"].get(name))) for name in COLUMNS]
    size = f"{entry['test_images']:,}" if entry["test_images"] else "not stated"
    source = "; ".join(sources[key] for key in entry["source"])
    return Row(entry["name"], (*cells, Cell(size), Cell(source, tone="quiet")))


def _own(findings: Findings) -> tuple[Row, ...]:
    rows = []
    for item in findings.of(Evaluation):
        metrics = item.scores["metrics"]
        cells = [Cell(number(metrics.get(name, {}).get("value"))) for name in COLUMNS]
        images = f"{len(set(item.scores['ids'])):,}"
        row = Row(system(item), (*cells, Cell(images), Cell("this page")), sub=subject(item))
        rows.append(row)
    return tuple(rows)
