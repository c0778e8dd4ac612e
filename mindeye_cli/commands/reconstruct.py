"""`mindeye reconstruct`: pictures from brain responses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mindeye_cli import options as shared
from mindeye_cli import output
from mindeye_cli.core.outcome import Outcome
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
    str,
    typer.Option(
        help="none; mean-brain: the mean training pattern for every image; ceiling: the true"
        " embedding of every image; random-voxels: as many as --keep-rois and --drop-rois leave."
    ),
]
KeepRois = Annotated[
    str | None, typer.Option(metavar="E", help='Read these areas only, such as "V1 | FFA-1".')
]
DropRois = Annotated[str | None, typer.Option(metavar="E", help="Read all areas but these.")]
KeepCandidates = Annotated[
    bool, typer.Option("--keep-candidates", help="Keep the pictures that were not chosen.")
]

Replay = Annotated[
    Path | None,
    typer.Option(metavar="MANIFEST", help="Draw a recorded batch again and compare."),
]

Index = Annotated[
    Path | None, typer.Option(metavar="INDEX", help="Collection that nearest looks in.")
]
Pictures = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The index' picture files or tar shards.")
]
Download = Annotated[
    bool, typer.Option("--download", help="Fetch its pictures from the metadata's addresses.")
]
Rerank = Annotated[
    Path | None, typer.Option(metavar="RUN", help="Token run that chooses among its pictures.")
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
    keep_rois: KeepRois = None,
    drop_rois: DropRois = None,
    keep_candidates: KeepCandidates = False,
    index: Index = None,
    pictures: Pictures = None,
    download: Download = False,
    rerank: Rerank = None,
    replay: Replay = None,
    changes: shared.Set = None,
    shard: shared.Shard = None,
    seed: shared.Seed = 0,
    overwrite: shared.Overwrite = False,
) -> None:
    """Make images from brain responses."""
    from mindeye_cli.reconstruct.options import details_of, outside_of, read_ids
    from mindeye_cli.reconstruct.replay import make_options
    from mindeye_cli.reconstruct.run import reconstruct as run

    parts = {"high": high, "low": low, "decoder": decoder, "weights": weights}
    sampling = {"strength": strength, "steps": steps, "guidance": guidance}
    areas = {"keep_rois": keep_rois, "drop_rois": drop_rois, "control": control}
    chosen = make_options(
        replay,
        store=store,
        out=out,
        **parts,
        **sampling,
        **areas,
        candidates=candidates,
        average=average,
        split=split,
        subject=subject,
        ids=None if ids_from is None else read_ids(ids_from),
        limit=limit,
        seed=seed,
        keep_candidates=keep_candidates,
        overwrite=overwrite,
        shard=shared.parse_shard(shard),
        outside=outside_of(index, pictures, download, rerank),
        details=details_of(changes or ()),
    )
    _emit(run(chosen))


def _emit(outcome: Outcome) -> None:
    output.emit("reconstruct", outcome, human=_told(outcome.values))


def _told(values: dict[str, Any]) -> str:
    pace = f"{values['seconds_per_image']:.2f} s each"
    told = f"{values['n']} pictures by {values['decoder']}, {pace}"
    if "readout" in values:
        told += f", from {values['readout']['voxels']} of {values['readout']['of']} voxels"
    again = values.get("replay")
    if again is None:
        return told
    return f"{told}; {again['identical']} as recorded, grey levels apart: {again['grey_levels']}"
