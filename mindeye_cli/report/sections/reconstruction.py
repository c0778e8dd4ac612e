"""Each reconstruction by itself: scores beside their controls, drawings, pictures, candidates."""

from __future__ import annotations

from typing import Any

from mindeye_cli.report.blocks import (
    Block,
    Bullets,
    Cell,
    Drawings,
    Fold,
    Group,
    Heading,
    Row,
    Section,
    Table,
    Text,
)
from mindeye_cli.report.charts.intervals import Entry, cell
from mindeye_cli.report.context import Context
from mindeye_cli.report.findings import Evaluation, Findings
from mindeye_cli.report.names import areas, around, controls_of, meaning, metric
from mindeye_cli.report.numbers import number, span
from mindeye_cli.report.ranking import subject
from mindeye_cli.report.sections.gallery import candidates, gallery
from mindeye_cli.report.sections.systems import metric_forest

CAPTION = (
    "Every score with its 95 % interval over images, beside its controls (interval or 95 % range"
    " below each). In the chart: the score and its interval, permuted pairings as a grey band, the"
    " other controls as ticks."
)


def build(findings: Findings, context: Context) -> Section | None:
    """One part for each evaluated reconstruction."""
    blocks: list[Block] = []
    for item in findings.of(Evaluation):
        blocks += _one(item, context)
    if not blocks:
        return None
    return Section(key="reconstruction", title="Reconstruction", blocks=tuple(blocks))


def _one(item: Evaluation, context: Context) -> list[Block]:
    metrics = item.scores["metrics"]
    controls = controls_of(metrics)
    blocks: list[Block] = [Heading(item.name), Text(facts(item))]
    blocks.append(score_table(item))
    if controls:
        blocks.append(Text("The controls:"))
        blocks.append(Bullets(tuple((name, meaning(name)) for name in controls)))
    lines = metrics.items()
    drawings = tuple(
        metric_forest(name, line, [Entry(item.name, line["value"], around({"ci95": line["ci95"]}))])
        for name, line in lines
        if line.get("value") is not None
    )
    blocks.append(Fold(f"Intervals and controls, drawn: {item.name}", (Drawings(drawings),)))
    blocks.append(gallery(item, context))
    kept = candidates(item, context)
    blocks += [kept] if kept else []
    return [*blocks, *_details(item)]


def facts(item: Evaluation) -> str:
    """What was scored, in a sentence."""
    manifest = item.manifest or {}
    n = item.scores.get("n", len(item.scores["ids"]))
    images = item.scores.get("images", len(set(item.scores["ids"])))
    parts = [f"{n} pictures of {images} images"]
    if manifest.get("split"):
        parts.append(f"{manifest['split']} set")
    if subject(item):
        parts.append(f"subject {subject(item)}")
    if manifest.get("decoder"):
        parts.append(f"decoder {manifest['decoder']}")
    if areas(manifest):
        readout = manifest["readout"]
        parts.append(f"{areas(manifest)} ({readout['voxels']} of {readout['of']} voxels read)")
    if (manifest.get("candidates") or 1) > 1:
        parts.append(
            f"the best of {manifest['candidates']} candidates by the brain's own embedding"
        )
    average = {"none": "single trials", "voxels": "repeats averaged before decoding"}
    average["predictions"] = "predictions of repeats averaged"
    if manifest.get("average") in average:
        parts.append(average[manifest["average"]])
    if manifest.get("seed") is not None:
        parts.append(f"seed {manifest['seed']}")
    return "; ".join(parts) + "."


def score_table(item: Evaluation) -> Table:
    """Every metric: value, interval, n, chart, fraction from prior to ceiling, controls."""
    metrics = item.scores["metrics"]
    controls = controls_of(metrics)
    fraction = any(line.get("fraction") for line in metrics.values())
    rows = tuple(_row(name, line, controls, fraction) for name, line in metrics.items())
    extra = ("fraction of the way to the ceiling",) if fraction else ()
    note = (
        " The fraction is (score − prior only) / (ceiling − prior only): 0 is what the generator"
        " does without the brain, 1 what it does from the true embedding."
    )
    return Table(
        label=f"scores: {item.name}",
        caption=CAPTION + (note if fraction else ""),
        columns=("metric", "value", "n", "chart", *extra, *controls),
        groups=(Group("", rows),),
    )


def _row(name: str, line: dict[str, Any], controls: list[str], fraction: bool) -> Row:
    unit = line.get("unit") or ""
    suffix = " dB" if unit == "dB" and line["value"] is not None else ""
    lost = f"{line['undefined']} undefined" if line.get("undefined") else ""
    ends = around({"ci95": line.get("ci95")})
    cells = [
        Cell(number(line["value"], unit) + suffix, sub=span(ends, unit), tone="good"),
        Cell(f"{line['n']}", sub=lost),
        Cell(drawing=cell(line)),
    ]
    if fraction:
        share = line.get("fraction") or {}
        cells.append(Cell(number(share.get("value")), sub=_ends(share, "")))
    for key in controls:
        entry = line.get("controls", {}).get(key) or {}
        cells.append(Cell(number(entry.get("value"), unit), sub=_ends(entry, unit)))
    better = "higher is better" if line["direction"] == "higher" else "lower is better"
    return Row(metric(name), tuple(cells), sub=better)


def _ends(entry: dict[str, Any], unit: str) -> str:
    ends = around(entry)
    return span(ends, unit) if ends else ""


def _details(item: Evaluation) -> list[Block]:
    skipped = tuple((metric(name), why) for name, why in item.scores["skipped"].items())
    cards: list[Block] = []
    for name, line in item.scores["metrics"].items():
        known = (line.get("card") or {}).items()
        cards.append(Heading(metric(name), level=4))
        cards.append(Bullets(tuple((str(key), str(value)) for key, value in known)))
    blocks: list[Block] = [Fold(f"How each metric is computed: {item.name}", tuple(cards))]
    if skipped:
        blocks.append(Fold(f"Not computed: {item.name}", (Bullets(skipped),)))
    return blocks
