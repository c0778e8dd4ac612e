"""`mindeye doctor`: what is installed, what is missing, and what mends it."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from mindeye_cli import output
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.errors import ExitCode, Failure
from mindeye_cli.lazy import command_app
from mindeye_cli.settings import user_folder

app = command_app()
SHIPPED = Path(__file__).resolve().parent.parent / "weights"


@app.command()
def doctor() -> None:
    """Check versions, devices, caches, weights and disk.

    Ends with 4 when something that every command needs is missing.
    """
    from mindeye_cli.core import machine

    checks = machine.examine(folders=_folders(), shipped=SHIPPED)
    rows = [(name, check.status, _short(check.value)) for name, check in checks.items()]
    human = output.table(rows, header=("check", "status", "found"))
    failed = {name: check for name, check in checks.items() if check.status == "failed"}
    if not failed:
        output.emit("doctor", Outcome(values={"checks": checks}), human=human)
        return
    output.tell(human)
    name, check = next(iter(failed.items()))
    count = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
    failure = Failure(ExitCode.MISSING, f"a check failed: {name}{count}", name, check.fix)
    output.emit_failure("doctor", failure, values={"checks": checks})
    raise typer.Exit(failure.code)


def _folders() -> dict[str, Path]:
    """Where caches are, by the variables that the libraries themselves read."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return {
        "config": user_folder("config"),
        "cache": user_folder("cache"),
        "state": user_folder("state"),
        "huggingface": Path(os.environ.get("HF_HOME") or cache / "huggingface"),
        "torch": Path(os.environ.get("TORCH_HOME") or cache / "torch"),
    }


def _short(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
