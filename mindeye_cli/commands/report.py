"""`mindeye report`: one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindeye_cli import options as shared
from mindeye_cli import output
from mindeye_cli.lazy import command_app

app = command_app()


@app.command()
def report(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR...", help="Reconstructions, runs, result files, or a folder of these."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.html", help="Page to write.")],
    formats: Annotated[
        str, typer.Option("--format", metavar="F,F", help="html, md, tex; written beside --out.")
    ] = "html",
    store: Annotated[
        Path | None,
        typer.Option(metavar="STORE", help="Store of the stimuli, if it was moved."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Heading of the page.")] = None,
    rows: Annotated[
        int, typer.Option(help="Pictures shown by id order, beside best, median and worst.")
    ] = 6,
    published: Annotated[
        bool, typer.Option("--published", help="Add published scores, each with its source.")
    ] = False,
    overwrite: shared.Overwrite = False,
) -> None:
    """Write one self-contained HTML page."""
    from mindeye_cli.report.context import Options
    from mindeye_cli.report.run import report as run

    options = Options(
        store=store,
        title=title,
        rows=rows,
        formats=tuple(dict.fromkeys(formats.split(","))),
        published=published,
        overwrite=overwrite,
    )
    output.emit("report", run(folders, out, options))
