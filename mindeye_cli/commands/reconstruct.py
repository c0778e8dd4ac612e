"""`mindeye reconstruct`: pictures from brain responses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindeye_cli import options as shared
from mindeye_cli import output
from mindeye_cli.lazy import command_app

Out = Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write.")]
High = Annotated[Path | None, typer.Option(metavar="RUN", help="High-level or ridge run.")]
Low = Annotated[Path | None, typer.Option(metavar="RUN", help="Low-level run.")]
Decoder = Annotated[
    str, typer.Option(help="Generator (docs/decoders.md), or low-level, latent-rgb, nearest.")
]
Strength = Annotated[
    float | None, typer.Option(help="Share of the sampling run from the low-level latent; 0 to 1.")
]
Candidates = Annotated[int, typer.Option(help="Pictures drawn for each image.")]
Steps = Annotated[int | None, typer.Option(help="Denoising steps.")]
Guidance = Annotated[float | None, typer.Option(help="Guidance scale.")]
Average = Annotated[
    str, typer.Option(help="What is averaged over repeats: voxels, predictions or none.")
]
Subject = Annotated[str | None, typer.Option(help="Subject, where the run has several.")]
IdsFrom = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Image ids, one a line; - for stdin.")
]
Limit = Annotated[int | None, typer.Option(help="The first N images only.")]
Control = Annotated[
    str, typer.Option(help="none, or mean-brain: the mean training pattern for every image.")
]
KeepCandidates = Annotated[
    bool, typer.Option("--keep-candidates", help="Keep the pictures that were not chosen.")
]

app = command_app()


@app.command()
def reconstruct(
    store: shared.Store,
    out: Out,
    high: High = None,
    low: Low = None,
    decoder: Decoder = "scene",
    weights: shared.Weights = None,
    strength: Strength = None,
    candidates: Candidates = 16,
    steps: Steps = None,
    guidance: Guidance = None,
    average: Average = "voxels",
    split: shared.Split = "test",
    subject: Subject = None,
    ids_from: IdsFrom = None,
    limit: Limit = None,
    control: Control = "none",
    keep_candidates: KeepCandidates = False,
    shard: shared.Shard = None,
    seed: shared.Seed = 0,
    overwrite: shared.Overwrite = False,
) -> None:
    """Make images from brain responses."""
    from mindeye_cli.reconstruct.options import Options, read_ids
    from mindeye_cli.reconstruct.run import reconstruct as run

    chosen = Options(
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
        ids=None if ids_from is None else read_ids(ids_from),
        limit=limit,
        seed=seed,
        control=control,
        keep_candidates=keep_candidates,
        overwrite=overwrite,
        shard=shared.parse_shard(shard),
    )
    outcome = run(chosen)
    pace = f"{outcome.values['seconds_per_image']:.2f} s each"
    human = f"{outcome.values['n']} pictures by {outcome.values['decoder']}, {pace}"
    output.emit("reconstruct", outcome, human=human)
