"""`mindeye reconstruct`: pictures from brain responses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindeye_cli import options as shared
from mindeye_cli import output
from mindeye_cli.lazy import command_app

app = command_app()


@app.command()
def reconstruct(
    store: shared.Store,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write.")],
    high: Annotated[
        Path | None, typer.Option(metavar="RUN", help="High-level or ridge run.")
    ] = None,
    low: Annotated[Path | None, typer.Option(metavar="RUN", help="Low-level run.")] = None,
    decoder: Annotated[
        str, typer.Option(help="Generator: scene; or low-level, nearest.")
    ] = "scene",
    weights: shared.Weights = None,
    strength: Annotated[
        float | None,
        typer.Option(help="Share of the sampling run from the low-level latent; 0 to 1."),
    ] = None,
    candidates: Annotated[int, typer.Option(help="Pictures drawn for each image.")] = 16,
    steps: Annotated[int | None, typer.Option(help="Denoising steps.")] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale.")] = None,
    average: Annotated[
        str, typer.Option(help="What is averaged over repeats: voxels, predictions or none.")
    ] = "voxels",
    split: shared.Split = "test",
    subject: Annotated[str | None, typer.Option(help="Subject, where the run has several.")] = None,
    ids_from: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Image ids, one a line; - for stdin.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="The first N images only.")] = None,
    control: Annotated[
        str, typer.Option(help="none, or mean-brain: the mean training pattern for every image.")
    ] = "none",
    keep_candidates: Annotated[
        bool, typer.Option("--keep-candidates", help="Keep the pictures that were not chosen.")
    ] = False,
    shard: shared.Shard = None,
    seed: shared.Seed = 0,
    overwrite: shared.Overwrite = False,
) -> None:
    """Make images from brain responses."""
    from mindeye_cli.reconstruct.options import Options, read_ids
    from mindeye_cli.reconstruct.run import reconstruct as run

    outcome = run(
        Options(
            store=store,
            out=out,
            high=high,
            low=low,
            decoder=decoder,
            weights=weights,
            strength=strength,
            candidates=candidates,
            steps=steps,
            guidance=guidance,
            average=average,
            split=split,  # type: ignore[arg-type]  # checked by Options
            subject=subject,
            ids=read_ids(ids_from) if ids_from is not None else None,
            limit=limit,
            seed=seed,
            control=control,
            keep_candidates=keep_candidates,
            overwrite=overwrite,
            shard=shared.parse_shard(shard),
        )
    )
    values = outcome.values
    output.emit(
        "reconstruct",
        outcome,
        human=f"{values['n']} pictures by {values['decoder']},"
        f" {values['seconds_per_image']:.2f} s each",
    )
