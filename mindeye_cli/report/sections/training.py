"""Training: what each run is, its curves, and its configuration."""

from __future__ import annotations

from mindeye_cli.report.blocks import Block, Code, Drawings, Fold, Heading, Section, Text
from mindeye_cli.report.charts.curves import panels
from mindeye_cli.report.context import Context
from mindeye_cli.report.findings import Findings, Run


def build(findings: Findings, context: Context) -> Section | None:
    """One part for each run."""
    blocks: list[Block] = []
    for run in findings.of(Run):
        blocks += [Heading(run.name), Text(facts(run))]
        drawings = panels(run.log)
        blocks += [Drawings(drawings)] if drawings else []
        if run.config:
            blocks.append(Fold(f"Configuration: {run.name}", (Code(run.config),)))
    return Section(key="training", title="Training", blocks=tuple(blocks)) if blocks else None


def facts(run: Run) -> str:
    """What was trained on what, in a sentence."""
    info = run.info
    voxels = ", ".join(
        f"subject {name} ({count} voxels)"
        for name, count in zip(info["subjects"], info["n_voxels"], strict=True)
    )
    images = (info.get("details") or {}).get("trained_images")
    trained = f"; {len(images)} training images" if isinstance(images, list) else ""
    return (
        f"{info['kind']} run to {info['space']}; {voxels}{trained}; {info['steps']} steps; seed"
        f" {info['seed']}; {info['status']}."
    )
