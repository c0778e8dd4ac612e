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
            metavar="DIR...", help="Reconstructions, runs, retrieval files, or a folder of these."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.html", help="Page to write.")],
    store: Annotated[
        Path | None,
        typer.Option(metavar="STORE", help="Store of the stimuli, if it was moved."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Heading of the page.")] = None,
    rows: Annotated[
        int, typer.Option(help="Pictures shown by id order, beside best, median and worst.")
    ] = 6,
    overwrite: shared.Overwrite = False,
) -> None:
    """Write one self-contained HTML page."""
    from mindeye_cli.report.run import Options
    from mindeye_cli.report.run import report as run

    options = Options(store=store, title=title, rows=rows, overwrite=overwrite)
    outcome = run(folders, out, options)
    output.emit("report", outcome)
