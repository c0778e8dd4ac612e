"""Markdown: tables, warnings and words; pictures and drawings stay on the HTML page."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mindeye_cli.report.blocks import (
    Block,
    Bullets,
    Cards,
    Cell,
    Code,
    Drawings,
    Fold,
    Heading,
    Note,
    PictureTable,
    Table,
    Text,
)
from mindeye_cli.report.render.page import Page

# What would be markup, a link or HTML at any place of a line.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!&$@])")
_LIST = re.compile(r"^(\s*)(\d+)([.)])|^(\s*)([-+=])")


def render(page: Page) -> str:
    """The page as GitHub's Markdown."""
    lines = [f"# {escape(page.title)}", ""]
    for section in page.sections:
        lines += [f"## {escape(section.title)}", ""]
        for block in section.blocks:
            lines += _block(block)
    lines += [f"Written by mindeye {escape(page.version)}.", ""]
    return "\n".join(lines)


def escape(text: str) -> str:
    """Plain text that Markdown shows as it is."""
    flat = _SPECIAL.sub(r"\\\1", " ".join(text.split()))
    return _LIST.sub(lambda m: f"{m[2]}\\{m[3]}" if m[2] else f"\\{m[5]}", flat)


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Text):
        yield escape(block.text)
    elif isinstance(block, Note):
        sign = "WARNING" if block.warning else "NOTE"
        yield f"> [!{sign}]\n> **{escape(block.title)}** {escape(block.text)}"
    elif isinstance(block, Heading):
        yield f"{'#' * block.level} {escape(block.text)}"
    elif isinstance(block, Bullets):
        yield "\n".join(f"- {_item(item)}" for item in block.items)
    elif isinstance(block, Cards):
        yield "\n".join(
            f"- {escape(c.title)}: **{escape(c.value)}** ({escape(c.interval)}); {escape(c.beside)}"
            + (f": {escape(c.verdict)}" if c.verdict else "")
            for c in block.cards
        )
    elif isinstance(block, Table):
        yield _table(block)
    elif isinstance(block, PictureTable):
        rows = ", ".join(escape(row.head) for row in block.rows)
        yield f"*Pictures on the HTML page: {escape(block.caption)} Rows: {rows}.*"
    elif isinstance(block, Code):
        yield _fenced(block.text)
    elif isinstance(block, Fold):
        yield f"**{escape(block.title)}**"
        yield ""
        for inner in block.blocks:
            yield from _block(inner)
        return
    elif isinstance(block, Drawings):
        return
    yield ""


def _item(item: str | tuple[str, str]) -> str:
    return escape(item) if isinstance(item, str) else f"**{escape(item[0])}**: {escape(item[1])}"


def _fenced(text: str) -> str:
    """A fence longer than any inside."""
    inner = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, inner + 1)
    return f"{fence}\n{text.rstrip()}\n{fence}"


def _table(table: Table) -> str:
    keep = shown_columns(table)
    heads = [escape(name) for name in (table.columns[0], *(table.columns[k + 1] for k in keep))]
    lines = [f"*{escape(table.caption)}*", ""]
    lines.append("| " + " | ".join(heads) + " |")
    lines.append("|" + "---|" * len(heads))
    for group in table.groups:
        if group.title:
            lines.append(f"| **{escape(group.title)}** |" + " |" * len(keep))
        for row in group.rows:
            head = escape(row.head) + (f" ({escape(row.sub)})" if row.sub else "")
            lines.append("| " + " | ".join([head, *(_cell(row.cells[k]) for k in keep)]) + " |")
    return "\n".join(lines)


def _cell(cell: Cell) -> str:
    return escape(cell.text) + (f" ({escape(cell.sub)})" if cell.sub else "")


def shown_columns(table: Table) -> list[int]:
    """Columns that hold text, counted after the head; drawings are left out."""
    rows = [row for group in table.groups for row in group.rows]
    count = len(table.columns) - 1
    return [k for k in range(count) if not any(row.cells[k].drawing for row in rows)]
