"""The program `mindeye`: the table of commands, and one way out for every result and failure."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from mindeye_cli import __version__, errors, output, settings
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.errors import ExitCode
from mindeye_cli.lazy import Entry, command_name, lazy_group
from mindeye_cli.options import root, split_globals

_AT = "mindeye_cli.commands."
COMMANDS = {
    "demo": Entry(_AT + "demo", "Run the whole path on simulated data, offline."),
    "simulate": Entry(_AT + "simulate", "Write scenes and simulated responses in NSD's layout."),
    "prepare": Entry(
        _AT + "prepare",
        "Turn a dataset into a feature store.",
        ("nsd", "arrays", "bids", "webdataset", "mindeye2", "targets"),
    ),
    "store": Entry(
        _AT + "store", "Inspect, verify or trim a feature store.", ("info", "verify", "rm")
    ),
    "train": Entry(
        _AT + "train", "Train a model from voxels to a space.", ("high-level", "low-level", "ridge")
    ),
    "checkpoint": Entry(
        _AT + "checkpoint",
        "Import published weights into a run, or show a run's.",
        ("show", "import"),
    ),
    "predict": Entry(_AT + "predict", "Write a run's outputs for voxels."),
    "retrieve": Entry(
        _AT + "retrieve", "Find images from brain responses, and back.", ("pool", "index", "search")
    ),
    "reconstruct": Entry(_AT + "reconstruct", "Make images from brain responses."),
    "sae": Entry(
        _AT + "sae",
        "Train a sparse autoencoder and ask for brain activity like something.",
        ("train", "show", "map", "read", "query", "synth", "clamp"),
    ),
    "explain": Entry(
        _AT + "explain",
        "Tell which brain areas answer for an image, or for a set of images.",
        ("image", "set"),
    ),
    "evaluate": Entry(_AT + "evaluate", "Score reconstructions, with intervals and controls."),
    "compare": Entry(_AT + "compare", "Compare evaluated reconstructions, image by image."),
    "report": Entry(_AT + "report", "Write one self-contained HTML page."),
    "doctor": Entry(_AT + "doctor", "Check versions, devices, caches, weights and disk."),
}
_COMPLETION = "_MINDEYE_COMPLETE"

app = typer.Typer(
    cls=lazy_group(COMMANDS),
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog="These options may stand before or after the command.",
)
app.callback()(root)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    chosen, rest = split_globals(given)
    try:
        settings.activate(chosen)
        return _run(chosen, rest)
    except BrokenPipeError:
        _silence_stdout()
        return ExitCode.OK
    except (Exception, KeyboardInterrupt) as problem:  # noqa: BLE001  (the one way out)
        if settings.flag("MINDEYE_DEBUG"):
            sys.stderr.write(errors.trace(problem))
        failure = errors.describe(problem)
        output.emit_failure(command_name(rest, COMMANDS), failure)
        return failure.code


def _run(chosen: settings.Settings, rest: list[str]) -> int:
    command = typer.main.get_command(app)
    if _COMPLETION in os.environ:
        command.main(args=rest, prog_name="mindeye", complete_var=_COMPLETION)
    if chosen.version:
        if chosen.json:
            output.emit("version", Outcome(values={"version": __version__}))
        else:
            output.line(__version__)
        return ExitCode.OK
    # Not command.main(): it would answer 1 for a closed pipe and print errors in its own way.
    try:
        with command.make_context("mindeye", rest or ["--help"]) as context:
            command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    return ExitCode.OK


def _silence_stdout() -> None:
    """Point stdout at nothing, or the interpreter would complain again when it flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
