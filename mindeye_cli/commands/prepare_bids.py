"""`mindeye prepare bids`: a BIDS derivative of single-trial betas."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindeye_cli import options as shared
from mindeye_cli import output
from mindeye_cli.commands import prepare_parts as parts


def bids(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Holds sub-*/**/*_betas.nii.gz with events.tsv.")
    ],
    store: shared.Store,
    subject: Annotated[str, typer.Option(metavar="S", help="Label, with or without sub-.")],
    stimuli: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder that stim_file counts from.")
    ] = None,
    events: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Dataset that holds the events.tsv.")
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Volume whose voxels above 0 are taken.")
    ] = None,
    test_images: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Test images, one a line; else a column split says it."),
    ] = None,
    desc: Annotated[
        str | None, typer.Option(metavar="LABEL", help="Betas with this desc- entity.")
    ] = None,
    zscore: parts.AnyZScore = "train",
    image_size: parts.ImageSize = None,
    voxels_of: parts.VoxelsOf = None,
    max_invalid: parts.MaxInvalid = 0.01,
    overwrite: shared.Overwrite = False,
) -> None:
    """Read a BIDS derivative of single-trial betas."""
    from mindeye_cli.prepare.bids.run import BidsOptions, prepare_bids

    outcome = prepare_bids(
        BidsOptions(
            folder=folder,
            store=store,
            subject=subject,
            stimuli=stimuli,
            events=events,
            mask=mask,
            test_images=test_images,
            desc=desc,
            zscore=parts.choice(zscore, "--zscore", ("train", "session", "none")),
            image_size=image_size,
            voxels_of=voxels_of,
            max_invalid=parts.share(max_invalid),
            overwrite=overwrite,
        )
    )
    output.emit("prepare bids", outcome, human=parts.summary(outcome.values))
