"""Pages and pictures of other commands, such as an autoencoder's atoms, each under its own name."""

from __future__ import annotations

from mindeye_cli.report.blocks import Block, Heading, PictureRow, PictureTable, Section
from mindeye_cli.report.context import Context
from mindeye_cli.report.findings import Exhibit, Findings
from mindeye_cli.report.pages import blocks_of


def build(findings: Findings, context: Context) -> Section | None:
    """One part for each page or folder of pictures."""
    blocks: list[Block] = []
    for item in findings.of(Exhibit):
        blocks.append(Heading(item.name))
        for file in item.files:
            if file.suffix in (".html", ".htm"):
                blocks += blocks_of(file, item.name, context)
        rows = tuple(
            PictureRow(file.stem, (context.picture(file, file.stem),))
            for file in item.files
            if file.suffix not in (".html", ".htm")
        )
        if rows:
            blocks.append(
                PictureTable(
                    label=f"pictures: {item.name}",
                    caption="All pictures of the folder, by name.",
                    columns=("name", "picture"),
                    rows=rows,
                )
            )
    if not blocks:
        return None
    return Section(key="exhibits", title="Further pages", blocks=tuple(blocks))
