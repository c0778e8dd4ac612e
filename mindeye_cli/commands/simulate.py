"""`mindeye simulate`: scenes and responses of a brain with known tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindeye_cli import options as shared
from mindeye_cli import output
from mindeye_cli.lazy import command_app
from mindeye_store.errors import UsageProblem

app = command_app()


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write.")],
    layout: Annotated[
        str,
        typer.Option(
            "--layout",
            help="NSD's own files (nsd), plain arrays (arrays), or MindEye's (webdataset) or"
            " MindEye2's (mindeye2) packed files.",
        ),
    ] = "nsd",
    subjects: Annotated[
        str, typer.Option("--subjects", metavar="N[,N]", help="Subject numbers, 1 to 8.")
    ] = "1",
    images: Annotated[
        int, typer.Option("--images", help="Training images of each subject.")
    ] = 1000,
    test: Annotated[int, typer.Option("--test", help="Test images, the same for all.")] = 100,
    repeats: Annotated[
        int, typer.Option("--repeats", help="Presentations of an image, 1 to 3.")
    ] = 3,
    voxels: Annotated[int, typer.Option("--voxels", help="Voxels in nsdgeneral.")] = 3000,
    snr: Annotated[
        float, typer.Option("--snr", help="Times the calibrated signal-to-noise ratio; 0: noise.")
    ] = 1.0,
    seed: shared.Seed = 0,
    cooccurrence: Annotated[
        bool, typer.Option("--cooccurrence", help="Let some categories appear together.")
    ] = False,
    near_duplicates: Annotated[
        int, typer.Option("--near-duplicates", help="Test images that get near-duplicates.")
    ] = 0,
    overwrite: shared.Overwrite = False,
) -> None:
    """Write scenes and simulated responses in NSD's layout."""
    from mindeye_cli.simulate.run import simulate as run
    from mindeye_cli.simulate.settings import SimulateConfig

    config = SimulateConfig(
        layout=layout,  # type: ignore[arg-type]
        subjects=_numbers(subjects),
        images=images,
        test=test,
        repeats=repeats,
        voxels=voxels,
        snr=snr,
        seed=seed,
        cooccurrence=cooccurrence,
        near_duplicates=near_duplicates,
    )
    outcome = run(out, config, overwrite=overwrite)
    values = outcome.values
    output.emit(
        "simulate",
        outcome,
        human=f"{', '.join(values['subjects'])}: {values['n_images']} images,"
        f" {values['n_trials']} trials; the tuning of every voxel is in {values['truth']}",
    )


def _numbers(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.strip().isdigit() for part in parts):
        raise UsageProblem(f"{text!r} is not a list of numbers such as 1,2", where="--subjects")
    return tuple(int(part) for part in parts)
