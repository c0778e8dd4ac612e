"""LaTeX: a document of booktabs tables that compiles by itself; a table can be taken over alone."""

from __future__ import annotations

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
from mindeye_cli.report.render.markdown import shown_columns
from mindeye_cli.report.render.page import Page

HEAD = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage[a4paper,landscape,margin=15mm]{geometry}
\usepackage{booktabs,longtable,textcomp}
\setlength{\parindent}{0pt}
\setlength{\parskip}{.5em}
\sloppy
\begin{document}
"""
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "−": r"$-$",
    "–": r"--",
    "→": r"$\to$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "×": r"$\times$",
    "✓": r"$\surd$",
    "…": r"\ldots{}",
    "\u00a0": "~",
}
_LEVELS = {3: "subsection", 4: "subsubsection"}


def render(page: Page) -> str:
    """The page as a LaTeX document."""
    lines = [HEAD + rf"\title{{{escape(page.title)}}}" + "\n\\date{}\n\\maketitle", ""]
    for section in page.sections:
        lines += [rf"\section*{{{escape(section.title)}}}", ""]
        for block in section.blocks:
            lines += _block(block)
    lines += [f"Written by mindeye {escape(page.version)}.", r"\end{document}", ""]
    return "\n".join(lines)


def escape(text: str) -> str:
    """Plain text that LaTeX shows as it is; what its fonts lack becomes a question mark."""
    out = []
    for letter in " ".join(text.replace("\u00a0", "\0").split()).replace("\0", "\u00a0"):
        known = _SPECIAL.get(letter)
        plain = letter.isascii() or (letter.isalpha() and ord(letter) < 0x180)
        out.append(
            known if known is not None else letter if plain and letter.isprintable() else "?"
        )
    return "".join(out)


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Text):
        yield escape(block.text)
    elif isinstance(block, Note):
        sign = "Warning. " if block.warning else ""
        yield rf"\textbf{{{sign}{escape(block.title)}.}} {escape(block.text)}"
    elif isinstance(block, Heading):
        yield rf"\{_LEVELS[block.level]}*{{{escape(block.text)}}}"
    elif isinstance(block, Bullets):
        if block.items:
            yield _list([_item(item) for item in block.items])
    elif isinstance(block, Cards):
        yield _list(
            [
                f"{escape(c.title)}: \\textbf{{{escape(c.value)}}} ({escape(c.interval)});"
                f" {escape(c.beside)}" + (f": {escape(c.verdict)}" if c.verdict else "")
                for c in block.cards
            ]
        )
    elif isinstance(block, Table):
        yield _table(block)
    elif isinstance(block, PictureTable):
        yield rf"\emph{{Pictures on the HTML page: {escape(block.caption)}}}"
    elif isinstance(block, Code):
        yield _code(block.text)
    elif isinstance(block, Fold):
        yield rf"\paragraph{{{escape(block.title)}}}"
        for inner in block.blocks:
            yield from _block(inner)
        return
    elif isinstance(block, Drawings):
        return
    yield ""


def _list(items: list[str]) -> str:
    body = "\n".join(rf"\item {item}" for item in items)
    return f"\\begin{{itemize}}\n{body}\n\\end{{itemize}}"


def _item(item: str | tuple[str, str]) -> str:
    if isinstance(item, str):
        return "{}" + escape(item)  # A bracket that follows \item would be its label.
    return rf"\textbf{{{escape(item[0])}}}: {escape(item[1])}"


def _code(text: str) -> str:
    """Lines of typewriter text; verbatim would end at a hostile `\\end{verbatim}`."""
    body = "\\\\\n".join(
        "~" * (len(line) - len(line.lstrip())) + rf"\texttt{{{escape(line)}}}"
        for line in text.splitlines()
        if line.strip()
    )
    return f"\\begingroup\\footnotesize\\raggedright\n{body}\\par\n\\endgroup"


def _table(table: Table) -> str:
    keep = shown_columns(table)
    count = len(keep) + 1
    wide = [k for k in keep if _longest(table, k) > 30]
    columns = "l" + "".join(r"p{45mm}" if k in wide else "r" for k in keep)
    heads = [table.columns[0], *(table.columns[k + 1] for k in keep)]
    lines = [
        r"\begingroup\scriptsize\setlength{\tabcolsep}{3pt}",
        rf"\begin{{longtable}}{{{columns}}}",
        rf"\caption{{{escape(table.caption)}}}\\",
        r"\toprule",
        " & ".join(_wrap(escape(head)) for head in heads) + r" \\",
        r"\midrule\endhead",
    ]
    for group in table.groups:
        if group.title:
            lines.append(rf"\multicolumn{{{count}}}{{l}}{{\emph{{{escape(group.title)}}}}} \\")
        for row in group.rows:
            head = _two_lines(escape(row.head), escape(row.sub), "l")
            cells = [_cell(row.cells[k], "l" if k in wide else "r") for k in keep]
            lines.append(" & ".join([head, *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{longtable}", r"\endgroup"])


def _longest(table: Table, k: int) -> int:
    return max(len(row.cells[k].text) for group in table.groups for row in group.rows)


def _wrap(head: str) -> str:
    return rf"\parbox[b]{{18mm}}{{\raggedright {head}}}" if len(head) > 14 else head


def _cell(cell: Cell, side: str) -> str:
    return _two_lines(escape(cell.text), escape(cell.sub), side)


def _two_lines(text: str, sub: str, side: str) -> str:
    if not sub:
        return "{}" + text  # A bracket after \\ would be its argument.
    return rf"\begin{{tabular}}[t]{{@{{}}{side}@{{}}}}{text}\\ {{}}{sub}\end{{tabular}}"
