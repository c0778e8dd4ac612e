"""`mindeye report`: collect, lay out, render, write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mindeye_cli import __version__
from mindeye_cli.core.atomic import refuse_existing, write_text
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.report.blocks import Section
from mindeye_cli.report.collect import collect
from mindeye_cli.report.context import Context, Options
from mindeye_cli.report.findings import Findings
from mindeye_cli.report.render import html, latex, markdown
from mindeye_cli.report.render.page import Page
from mindeye_cli.report.sections.order import sections
from mindeye_store.errors import InvalidInput, UsageProblem

TITLE = "Retrieval and reconstruction from brain responses"
RENDERERS: Mapping[str, Callable[[Page], str]] = {
    "html": html.render,
    "md": markdown.render,
    "tex": latex.render,
}
# Largest side of a picture, in pixels: the first with which the page is not too large.
SIDES = (256, 192, 128, 96, 64)
# Mail servers refuse more than about 20 MB.
LARGEST_BYTES = 15_000_000


def report(paths: Sequence[Path], out: Path, options: Options) -> Outcome:
    """Write one self-contained HTML page, and the same in other formats beside it.

    Parameters
    ----------
    paths : sequence of Path
        Evaluated reconstructions, retrieval files, runs, or folders that hold them.
    out : Path
        The page, `NAME.html`; other formats are `NAME.md` and `NAME.tex`. Each is a function of
        what it shows: the same inputs give the same bytes.
    options : Options

    Returns
    -------
    Outcome
        `notneeded` when every file is there already with the same content. Values: `bytes` of the
        page, `pictures` on it and their largest side `picture_pixels`.

    Raises
    ------
    InvalidInput, MissingResource
        Nothing to show, a damaged file, stimuli that are gone, or too much for one page.
    """
    if out.suffix not in (".html", ".htm"):
        raise UsageProblem("the page is named FILE.html", where="--out", fix=f"--out {out}.html")
    page = compose(collect(paths), out.parent, options)
    texts = {_file(out, name): RENDERERS[name](page) for name in options.formats}
    values = {"pictures": page.pictures, "picture_pixels": page.side}
    values["bytes"] = max(len(text.encode()) for text in texts.values())
    found = [path.is_file() and path.read_bytes() == text.encode() for path, text in texts.items()]
    if all(found):
        return Outcome(status="notneeded", outputs=tuple(texts), values=values)
    for path, same in zip(texts, found, strict=True):
        if not same:
            refuse_existing(path, options.overwrite)
    for path, text in texts.items():
        write_text(path, text)
    return Outcome(outputs=tuple(texts), values=values)


def compose(findings: Findings, base: Path, options: Options) -> Page:
    """The page, with pictures as large as its size allows.

    Raises
    ------
    InvalidInput
        It is too large even with the smallest pictures.
    """
    size = 0
    for side in SIDES:
        context = Context(options, base, side)
        built: tuple[Section, ...] = sections(findings, context)
        page = Page(
            title=options.title or TITLE,
            version=__version__,
            sections=built,
            pictures=context.encoder.count,
            side=side,
        )
        size = context.encoder.bytes
        if size <= LARGEST_BYTES:
            return page
    raise InvalidInput(
        f"{size / 1e6:.0f} MB of pictures are too many for one page",
        where="mindeye report",
        fix="give fewer folders, or fewer rows with --rows",
    )


def _file(out: Path, kind: str) -> Path:
    return out if kind == "html" else out.with_suffix(f".{kind}")
