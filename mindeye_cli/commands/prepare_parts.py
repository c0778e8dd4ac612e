"""What the commands under `mindeye prepare` share: options, their checks, and texts for people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mindeye_cli import output
from mindeye_store.errors import UsageProblem

MaxInvalid = Annotated[
    float,
    typer.Option(
        help="Largest share of voxels that may be NaN, all zero or constant, and dropped."
    ),
]

AnyZScore = Annotated[
    str,
    typer.Option(
        "--zscore",
        help="Trials behind each session's statistics: train, session (all), or none"
        " to keep the responses as they are.",
    ),
]
ImageSize = Annotated[
    int | None,
    typer.Option("--image-size", metavar="N", help="Bring every image to N x N pixels."),
]
VoxelsOf = Annotated[
    Path | None,
    typer.Option(
        "--voxels-of",
        metavar="STORE",
        help="Take the voxels that the subject of this name has in STORE, so that runs trained"
        " there apply: for further test sets.",
    ),
]
NsdSubject = Annotated[
    str, typer.Option("--subject", metavar="S", help="1 to 8, or subj01 to subj08.")
]
NsdFolder = Annotated[
    Path | None,
    typer.Option(
        "--nsd",
        metavar="ROOT",
        help="NSD's own folder, for places and areas of the voxels and COCO's ids.",
    ),
]


def choice(value: str, option: str, allowed: tuple[str, ...]) -> Any:
    """A value that is among a few.

    Raises
    ------
    UsageProblem
        It is another.
    """
    if value not in allowed:
        raise UsageProblem(f"{value!r} is not one of {', '.join(allowed)}", where=option)
    return value


def share(value: float) -> float:
    """A share from 0 to 1, 1 excluded.

    Raises
    ------
    UsageProblem
        It is none.
    """
    if not 0 <= value < 1:
        raise UsageProblem(f"{value:g} is not a share from 0 to 1", where="--max-invalid")
    return value


def summary(values: dict[str, Any]) -> str:
    """One line for people about a prepared subject."""
    splits = ", ".join(
        f"{name} {counts['trials']} trials of {counts['images']} images"
        for name, counts in values["splits"].items()
    )
    release = f"; NSD's {values['release']}" if values.get("release") else ""
    return f"{values['subject']}: {values['n_voxels']} voxels; {splits}{release}"


def files(values: dict[str, Any]) -> str:
    """The table of files that a reader needs, for people."""
    rows = [
        ["there" if entry["present"] else "MISSING", entry["bytes"], entry["path"]]
        for entry in values["files"]
    ]
    table = output.table(rows, header=("", "bytes", "file"))
    there = f"{table}\n{len(values['missing'])} of {len(rows)} files are missing"
    commands = values.get("commands", [])
    if not commands:
        return there
    first = f"NSD's data access agreement comes first ({values['agreement']}), then:"
    return "\n".join([there, first, *commands])
