"""Global flags, taken out of the arguments before any command sees them, and shared options.

`--json`, `--quiet`, `--offline`, `--no-color`, `--log-level` and `--version` may stand anywhere, so
no command declares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mindeye_cli.settings import Settings
from mindeye_store.errors import UsageProblem

_FLAGS = {
    "--json": "json",
    "--quiet": "quiet",
    "--offline": "offline",
    "--no-color": "no_color",
    "--version": "version",
}
_LOG_LEVEL = "--log-level"

Store = Annotated[Path, typer.Argument(metavar="STORE", help="Feature store, a zarr folder.")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of one trained model.")]
Subject = Annotated[
    str, typer.Option("--subject", metavar="S[,S]", help="Subject, or several with commas.")
]
Space = Annotated[
    str, typer.Option("--space", metavar="SPACE", help="Target space, such as scene-clip:tokens.")
]
Split = Annotated[str, typer.Option("--split", help="Which trials: train or test.")]
Seed = Annotated[int, typer.Option("--seed", help="Every random draw follows from it.")]
Preset = Annotated[str, typer.Option("--preset", help="Named sizes and schedule: scene or paper.")]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="TOML file that describes the run.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one key; may be repeated."),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace what is there instead of refusing.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check the inputs and print the plan; write nothing.")
]
Reader = Annotated[
    str,
    typer.Option(
        "--reader", help="auto, preload, map, direct, zarr or tensorstore: how rows are read."
    ),
]
Weights = Annotated[
    Path | None, typer.Option("--weights", metavar="PATH", help="Local weights to use.")
]
Shard = Annotated[
    str | None, typer.Option("--shard", metavar="I/N", help="Do the I-th of N parts, from 0.")
]


def split_globals(arguments: Sequence[str]) -> tuple[Settings, list[str]]:
    """Take the global flags out of the arguments.

    Parameters
    ----------
    arguments : sequence of str
        Everything after the program's name. What follows `--` is left alone.

    Returns
    -------
    Settings, list of str
        The flags, and the other arguments in their order.
    """
    chosen: dict[str, Any] = {}
    rest: list[str] = []
    items = iter(arguments)
    for item in items:
        if item == "--":
            rest += [item, *items]
        elif item in _FLAGS:
            chosen[_FLAGS[item]] = True
        elif item == _LOG_LEVEL:
            chosen["log_level"] = next(items, "")
        elif item.startswith(_LOG_LEVEL + "="):
            chosen["log_level"] = item.partition("=")[2]
        else:
            rest.append(item)
    return Settings(**chosen), rest


def parse_shard(text: str | None) -> tuple[int, int]:
    """`"2/8"` -> (2, 8), counted from 0; None is the whole, (0, 1).

    Raises
    ------
    UsageProblem
        When it is not I/N with 0 <= I < N.
    """
    if text is None:
        return 0, 1
    index, slash, count = text.partition("/")
    if slash and index.isdigit() and count.isdigit() and int(index) < int(count):
        return int(index), int(count)
    raise UsageProblem(f"{text!r} is not I/N with I from 0 to N-1", where="--shard")


def root(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print bare paths only.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Forbid every download.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="Plain text.")] = False,
    log_level: Annotated[
        str, typer.Option(_LOG_LEVEL, help="debug, info, warning or error.")
    ] = "info",
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Retrieve and reconstruct what a person saw from fMRI responses.

    Start with: mindeye demo
    """
    # Declared for help and completion alone: `split_globals` has taken them out before.
