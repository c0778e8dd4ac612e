"""The only module that writes to stdout.

stdout carries results alone: one JSON object with `--json`, else the paths that were written.
Words for people go to stderr and are dropped with `--json` and `--quiet`. Only the main rank of a
launched job writes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from mindeye_cli import settings
from mindeye_cli.core.jsonable import dumps
from mindeye_cli.core.launch import is_main_rank
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.errors import ExitCode, Failure

_COMMON = ("command", "status", "outputs", "error")


def emit(command: str, outcome: Outcome, *, human: str | None = None) -> None:
    """Print what a command did; for a partial result, end with exit code 5.

    Parameters
    ----------
    command : str
        As typed, without `mindeye`, such as "train ridge".
    outcome : Outcome
        What the capability returned.
    human : str, optional
        Text or a table for people.

    Raises
    ------
    typer.Exit
        When the outcome is partial.
    """
    if is_main_rank():
        mode = settings.current()
        if mode.json:
            line(dumps(_record(command, outcome.status, outcome.outputs, outcome.values)))
        else:
            note = "nothing to do: it is there already" if outcome.status == "notneeded" else None
            tell(human or note)
            for path in outcome.outputs:
                line(str(path))
    if outcome.status == "partial":
        raise typer.Exit(ExitCode.PARTIAL)


def emit_line(record: Mapping[str, Any]) -> None:
    """Print one JSON line of a stream."""
    if is_main_rank() and not (settings.current().quiet and not settings.current().json):
        line(dumps(record))


def emit_failure(
    command: str, failure: Failure, *, values: Mapping[str, Any] | None = None
) -> None:
    """Print a failure: its line on stderr, and with `--json` its object on stdout."""
    if settings.current().json and is_main_rank():
        record = _record(command, "error", (), values or {})
        record["error"] = {
            "code": int(failure.code),
            "message": failure.message,
            "where": failure.where,
            "fix": failure.fix,
        }
        line(dumps(record))
    sys.stderr.write(failure.line() + "\n")


def tell(text: str | None) -> None:
    """Say something to people on stderr."""
    mode = settings.current()
    if text and not mode.json and not mode.quiet and is_main_rank():
        sys.stderr.write(text.rstrip("\n") + "\n")


def table(rows: Sequence[Sequence[object]], *, header: Sequence[str]) -> str:
    """Plain columns for `human`: text to the left, numbers to the right.

    Parameters
    ----------
    rows : sequence of sequences
        Cells; floats are shown with three decimals, None as a dash.
    header : sequence of str
        Names of the columns.

    Returns
    -------
    str
        One line a row.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    right = [
        bool(rows) and all(isinstance(row[i], int | float | None) for row in rows)
        for i in range(len(header))
    ]
    lines = [list(header), *cells]
    return "\n".join(
        "  ".join(
            text.rjust(width) if push else text.ljust(width)
            for text, width, push in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def _record(
    command: str, status: str, outputs: Sequence[Path], values: Mapping[str, Any]
) -> dict[str, Any]:
    clash = [key for key in values if key in _COMMON]
    if clash:
        raise ValueError(f"{command}: the JSON keys {clash} belong to every command")
    return {"command": command, "status": status, "outputs": list(outputs), **values}


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def line(text: str) -> None:
    """Write one line of a result to stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
