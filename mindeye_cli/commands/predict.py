"""`mindeye predict`: a run's outputs, as plain arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindeye_cli import options as shared
from mindeye_cli import output
from mindeye_cli.lazy import command_app
from mindeye_store.errors import UsageProblem

app = command_app()
AVERAGES = ("voxels", "predictions", "none")


@app.command()
def predict(
    run: shared.Run,
    out: Annotated[Path, typer.Option("--out", metavar="Y.npz", help="File to write.")],
    voxels: Annotated[
        Path | None,
        typer.Option("--voxels", metavar="X.npy", help="Responses, float (n, voxels)."),
    ] = None,
    store: Annotated[
        Path | None, typer.Option("--store", metavar="STORE", help="Take a split of a store.")
    ] = None,
    split: shared.Split = "test",
    subject: Annotated[
        str | None,
        typer.Option("--subject", metavar="S", help="Subject, where the run has several."),
    ] = None,
    average: Annotated[
        str, typer.Option("--average", help="Average repeats: voxels, predictions or none.")
    ] = "voxels",
    seed: shared.Seed = 0,
    overwrite: shared.Overwrite = False,
) -> None:
    """Write a run's outputs for voxels."""
    from mindeye_cli.predict.run import PredictRequest
    from mindeye_cli.predict.run import predict as write

    for option, value, allowed in (
        ("--average", average, AVERAGES),
        ("--split", split, ("train", "test")),
    ):
        if value not in allowed:
            fix = f"one of {', '.join(allowed)}"
            raise UsageProblem(f"unknown value {value!r}", where=option, fix=fix)
    outcome = write(
        PredictRequest(
            run=run,
            out=out,
            voxels=voxels,
            store=store,
            split=split,  # type: ignore[arg-type]
            subject=subject,
            average=average,  # type: ignore[arg-type]
            seed=seed,
            overwrite=overwrite,
        )
    )
    rows = [(name, str(item["shape"])) for name, item in outcome.values["arrays"].items()]
    output.emit("predict", outcome, human=output.table(rows, header=("array", "shape")))
