"""`mindeye prepare`: datasets into the feature store, and frozen encoders' targets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mindeye_cli import options as shared
from mindeye_cli import output
from mindeye_cli.commands import prepare_parts as parts
from mindeye_cli.commands.prepare_bids import bids
from mindeye_cli.commands.prepare_published import mindeye2, webdataset
from mindeye_cli.lazy import group_app

app = group_app("Turn a dataset into a feature store.")


@app.command("nsd")
def nsd(
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Folder that holds nsddata.")],
    store: shared.Store,
    subject: parts.NsdSubject,
    roi: Annotated[
        str,
        typer.Option(
            metavar="EXPR",
            help="ROI volume whose voxels above 0 are taken, or areas joined by |, &, - and"
            ' brackets: "V1 | lh.FFA-1", "nsdgeneral - V1".',
        ),
    ] = "nsdgeneral",
    betas: Annotated[
        str, typer.Option(metavar="NAME", help="Version of the betas.")
    ] = "betas_fithrf_GLMdenoise_RR",
    anatomy: Annotated[
        str,
        typer.Option(
            metavar="SPACE",
            help="Space of betas and ROIs: func1pt8mm, func1mm, fsaverage or nativesurface.",
        ),
    ] = "func1pt8mm",
    sessions: Annotated[
        str | None, typer.Option(metavar="1-37", help="Sessions; all that are there by default.")
    ] = None,
    zscore: Annotated[
        str, typer.Option(help="Trials behind each session's statistics: train, or session (all).")
    ] = "train",
    max_invalid: parts.MaxInvalid = 0.01,
    dry_run: shared.DryRun = False,
    overwrite: shared.Overwrite = False,
) -> None:
    """Read the Natural Scenes Dataset as it is distributed."""
    from mindeye_cli.prepare.nsd.check import NsdOptions
    from mindeye_cli.prepare.nsd.layout import SPACES, NsdLayout, parse_sessions, parse_subject
    from mindeye_cli.prepare.nsd.run import describe_nsd, prepare_nsd

    options = NsdOptions(
        layout=NsdLayout(
            root=root,
            subject=parse_subject(subject),
            betas=betas,
            volume_space=parts.choice(anatomy, "--anatomy", SPACES),
        ),
        store=store,
        roi=roi,
        sessions=None if sessions is None else parse_sessions(sessions),
        zscore=parts.choice(zscore, "--zscore", ("train", "session")),
        max_invalid=parts.share(max_invalid),
        overwrite=overwrite,
    )
    if dry_run:
        outcome = describe_nsd(options)
        output.emit("prepare nsd", outcome, human=parts.files(outcome.values))
        return
    outcome = prepare_nsd(options)
    output.emit("prepare nsd", outcome, human=parts.summary(outcome.values))


@app.command("arrays")
def arrays(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Holds the responses, trials.csv and the images.")
    ],
    store: shared.Store,
    subject: Annotated[str, typer.Option(metavar="NAME", help="The subject's name in the store.")],
    zscore: parts.AnyZScore = "train",
    image_size: parts.ImageSize = None,
    voxels_of: parts.VoxelsOf = None,
    max_invalid: parts.MaxInvalid = 0.01,
    overwrite: shared.Overwrite = False,
) -> None:
    """Read any dataset: responses, a table of trials, and images."""
    from mindeye_cli.prepare.arrays.run import ArraysOptions, prepare_arrays

    outcome = prepare_arrays(
        ArraysOptions(
            folder=folder,
            store=store,
            subject=subject,
            zscore=parts.choice(zscore, "--zscore", ("train", "session", "none")),
            max_invalid=parts.share(max_invalid),
            image_size=image_size,
            voxels_of=voxels_of,
            overwrite=overwrite,
        )
    )
    output.emit("prepare arrays", outcome, human=parts.summary(outcome.values))


app.command("bids")(bids)
app.command("webdataset")(webdataset)
app.command("mindeye2")(mindeye2)


@app.command("targets")
def targets(
    store: shared.Store,
    space: shared.Space,
    weights: shared.Weights = None,
    shard: shared.Shard = None,
    given: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE.npy", help="Rows of array:NAME, one per image."),
    ] = None,
    ids: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Image id of each row of --from, one a line."),
    ] = None,
    views: Annotated[
        int,
        typer.Option(metavar="K", help="Also cache K augmented views, as SPACE@view1 and so on."),
    ] = 0,
    augment: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="How views are altered: published, or teacher (the default of vicregl-* alone).",
        ),
    ] = None,
    seed: shared.Seed = 0,
) -> None:
    """Cache a frozen encoder's output for every image of the store."""
    from mindeye_cli.prepare.target_sources import TargetOptions
    from mindeye_cli.prepare.targets import prepare_targets

    outcome = prepare_targets(
        TargetOptions(
            store=store,
            space=space,
            weights=weights,
            given=given,
            ids=ids,
            views=views,
            augment=augment,
            seed=seed,
            part=shared.parse_shard(shard),
        )
    )
    spaces = [outcome.values, *outcome.values["views"]]
    output.emit("prepare targets", outcome, human="\n".join(_cached(space) for space in spaces))


def _cached(values: dict[str, Any]) -> str:
    return (
        f"{values['rows_done']} of {values['rows_total']} images have {values['space']}"
        f" {tuple(values['shape'])} {values['dtype']}"
    )
