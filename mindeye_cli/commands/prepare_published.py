"""`mindeye prepare webdataset` and `mindeye2`: the files that the two papers published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindeye_cli import options as shared
from mindeye_cli import output
from mindeye_cli.commands import prepare_parts as parts


def webdataset(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="MindEye's tar files: train/, val/, test/.")
    ],
    store: shared.Store,
    subject: parts.NsdSubject,
    rows: Annotated[
        str,
        typer.Option(
            help="Rows of a sample that are trials: unique (num_uniques of them), or all three,"
            " as the published code averages them."
        ),
    ] = "unique",
    nsd: parts.NsdFolder = None,
    max_invalid: parts.MaxInvalid = 0.01,
    dry_run: shared.DryRun = False,
    overwrite: shared.Overwrite = False,
) -> None:
    """Read the tar files of MindEye (2023)."""
    from mindeye_cli.prepare.nsd.layout import parse_subject
    from mindeye_cli.prepare.webdataset.run import (
        WebdatasetOptions,
        describe_webdataset,
        prepare_webdataset,
    )

    options = WebdatasetOptions(
        folder=folder,
        store=store,
        subject=parse_subject(subject),
        rows=parts.choice(rows, "--rows", ("unique", "all")),
        nsd=nsd,
        max_invalid=parts.share(max_invalid),
        overwrite=overwrite,
    )
    if dry_run:
        outcome = describe_webdataset(options)
        output.emit("prepare webdataset", outcome, human=parts.files(outcome.values))
        return
    outcome = prepare_webdataset(options)
    output.emit("prepare webdataset", outcome, human=parts.summary(outcome.values))


def mindeye2(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="MindEye2's HDF5 files and wds/.")],
    store: shared.Store,
    subject: parts.NsdSubject,
    test_set: Annotated[
        str,
        typer.Option(help="Test trials: new (all sessions) or old (NSD's first release)."),
    ] = "new",
    zscore: Annotated[
        str,
        typer.Option(
            help="source keeps the file's z-scores, which rest on test trials too; train z-scores"
            " them again with each session's training trials."
        ),
    ] = "source",
    nsd: parts.NsdFolder = None,
    max_invalid: parts.MaxInvalid = 0.01,
    dry_run: shared.DryRun = False,
    overwrite: shared.Overwrite = False,
) -> None:
    """Read the files of MindEye2."""
    from mindeye_cli.prepare.mindeye2.run import (
        Mindeye2Options,
        describe_mindeye2,
        prepare_mindeye2,
    )
    from mindeye_cli.prepare.nsd.layout import parse_subject

    options = Mindeye2Options(
        folder=folder,
        store=store,
        subject=parse_subject(subject),
        test_set=parts.choice(test_set, "--test-set", ("new", "old")),
        zscore=parts.choice(zscore, "--zscore", ("source", "train")),
        nsd=nsd,
        max_invalid=parts.share(max_invalid),
        overwrite=overwrite,
    )
    if dry_run:
        outcome = describe_mindeye2(options)
        output.emit("prepare mindeye2", outcome, human=parts.files(outcome.values))
        return
    outcome = prepare_mindeye2(options)
    output.emit("prepare mindeye2", outcome, human=parts.summary(outcome.values))
