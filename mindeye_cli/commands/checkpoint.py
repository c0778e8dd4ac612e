"""`mindeye checkpoint`: published weights into a RUN, and what a RUN's weights are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mindeye_cli import options as shared
from mindeye_cli import output
from mindeye_cli.lazy import group_app
from mindeye_store.errors import UsageProblem

app = group_app("Import published weights into a run, or show a run's.")
imports = group_app("Turn published weights into a run.")
app.add_typer(imports, name="import")
KINDS = ("high", "low")


@imports.command("mindeye1")
def mindeye1(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.pth", help="Such as last.pth or epoch120.pth.")
    ],
    run: shared.Run,
    kind: Annotated[
        str | None,
        typer.Option("--kind", help="What it must be, high or low; by default what it is."),
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option("--subject", metavar="S", help="Whose; by default told by the voxels."),
    ] = None,
    overwrite: shared.Overwrite = False,
) -> None:
    """Import a MindEye (2023) file: prior_257, prior_1x768 or autoencoder, of any sizes."""
    from mindeye_cli.checkpoint.mindeye1 import ImportRequest, import_mindeye1

    if kind is not None and kind not in KINDS:
        raise UsageProblem(f"unknown value {kind!r}", where="--kind", fix="high or low")
    request = ImportRequest(
        file=file,
        run=run,
        kind=kind,  # type: ignore[arg-type]
        subject=subject,
        overwrite=overwrite,
    )
    outcome = import_mindeye1(request)
    output.emit("checkpoint import", outcome, human=_table(outcome.values))


@app.command("show")
def show(run: shared.Run) -> None:
    """Describe a run's weights: parameters, and keys unused, missing or recomputed."""
    from mindeye_cli.checkpoint.show import show_run

    outcome = show_run(run)
    output.emit("checkpoint show", outcome, human=_table(outcome.values))


def _table(values: dict[str, Any]) -> str:
    """One row for each value; long lists of keys as their number."""
    keys = ("used", "recomputed", "unused", "missing", "ignored")
    rows = [
        (name, f"{len(value)} keys" if name in keys else str(value))
        for name, value in values.items()
        if value is not None and (value != [] or name in keys)
    ]
    return output.table(rows, header=("what", "value"))
