"""`mindeye train`: the high-level and low-level networks, and the ridge baseline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mindeye_cli import options as shared
from mindeye_cli import output
from mindeye_cli.core.launch import is_main_rank
from mindeye_cli.errors import describe
from mindeye_cli.lazy import group_app
from mindeye_store.errors import UsageProblem

if TYPE_CHECKING:
    from mindeye_cli.core.outcome import Outcome
    from mindeye_cli.train.request import TrainRequest

app = group_app("Train a model from voxels to a space.")

Preset = Annotated[
    str | None,
    typer.Option(
        "--preset", help="paper, paper-pooled, lean or scene; by default what suits the space."
    ),
]
Resume = Annotated[
    str, typer.Option("--resume", help="auto continues an unfinished run, never refuses it.")
]


@app.command("high-level")
def high_level(
    store: shared.Store,
    run: shared.Run,
    subject: shared.Subject,
    space: shared.Space,
    preset: Preset = None,
    config: shared.Config = None,
    overrides: shared.Set = None,
    resume: Resume = "auto",
    reader: shared.Reader = "auto",
    dry_run: shared.DryRun = False,
    overwrite: shared.Overwrite = False,
) -> None:
    """Train backbone, projector and diffusion prior on an embedding space."""
    from mindeye_cli.train.networks import train_high_level

    request = _request(
        store, run, subject, space, preset, config, overrides, resume, reader, dry_run, overwrite
    )
    _emit("train high-level", _recorded(request, train_high_level))


@app.command("low-level")
def low_level(
    store: shared.Store,
    run: shared.Run,
    subject: shared.Subject,
    space: shared.Space,
    preset: Preset = None,
    config: shared.Config = None,
    overrides: shared.Set = None,
    resume: Resume = "auto",
    reader: shared.Reader = "auto",
    dry_run: shared.DryRun = False,
    overwrite: shared.Overwrite = False,
) -> None:
    """Train the network that predicts an autoencoder's latents."""
    from mindeye_cli.train.networks import train_low_level

    request = _request(
        store, run, subject, space, preset, config, overrides, resume, reader, dry_run, overwrite
    )
    _emit("train low-level", _recorded(request, train_low_level))


@app.command("ridge")
def ridge(
    store: shared.Store,
    run: shared.Run,
    subject: shared.Subject,
    space: shared.Space,
    preset: Preset = None,
    config: shared.Config = None,
    overrides: shared.Set = None,
    cv: Annotated[
        str | None,
        typer.Option("--cv", help="image: also predict every image with itself left out."),
    ] = None,
    resume: Resume = "auto",
    reader: shared.Reader = "auto",
    dry_run: shared.DryRun = False,
    overwrite: shared.Overwrite = False,
) -> None:
    """Fit ridge regression in closed form, the baseline of every table."""
    from mindeye_cli.train.ridge import train_ridge

    # The option is one more override, so that the saved configuration tells the whole run.
    chosen = [*(overrides or ()), *([] if cv is None else [f"cv={cv}"])]
    request = _request(
        store, run, subject, space, preset, config, chosen, resume, reader, dry_run, overwrite
    )
    _emit("train ridge", _recorded(request, train_ridge))


def _request(
    store: Path,
    run: Path,
    subject: str,
    space: str,
    preset: str | None,
    config: Path | None,
    overrides: list[str] | None,
    resume: str,
    reader: str,
    dry_run: bool,
    overwrite: bool,
) -> TrainRequest:
    from mindeye_cli.train.request import TrainRequest

    if resume not in ("auto", "never"):
        raise UsageProblem(f"unknown value {resume!r}", where="--resume", fix="auto or never")
    return TrainRequest(
        store=store,
        run=run,
        subjects=tuple(name.strip() for name in subject.split(",") if name.strip()),
        space=space,
        preset=preset,
        config=config,
        overrides=tuple(overrides or ()),
        resume="auto" if resume == "auto" else "never",
        reader=reader,
        dry_run=dry_run,
        overwrite=overwrite,
    )


def _recorded(request: TrainRequest, train: Callable[[TrainRequest], Outcome]) -> Outcome:
    """Train, and write `RUN/exit.json` however it ends: launchers hide a worker's exit code.

    Nothing is written where there is no run, for a dry run, or for a usage problem, which a
    command answers before it touches the folder.
    """
    from mindeye_cli.core.checkpoint import latest_step
    from mindeye_cli.core.runs import write_exit

    try:
        outcome = train(request)
    except UsageProblem:
        raise
    except BaseException as problem:
        if is_main_rank() and not request.dry_run and (request.run / "run.json").exists():
            failure = describe(problem)
            write_exit(request.run, failure.code, failure.line(), latest_step(request.run))
        raise
    if is_main_rank() and not request.dry_run:
        write_exit(request.run, 0, "finished", outcome.values["steps"])
    return outcome


def _emit(command: str, outcome: Outcome) -> None:
    values = outcome.values
    if "bytes" in values:
        rows = [(name, amount / 2**20) for name, amount in values["bytes"].items()]
        human = (
            f"{values['parameters']:,} parameters, {values['planned_steps']:,} steps\n"
            + output.table(rows, header=("memory", "MiB"))
        )
        if "free_bytes" in values:
            free = f"{values['free_bytes'] / 2**20:,.0f} MiB are free on {values['device']}"
            human += f"\n{free}: it {'fits' if values['fits'] else 'does NOT fit'}"
    else:
        human = f"{values['steps']:,} steps in {values['seconds']:.0f} s\n" + output.table(
            [*_flat(values["metrics"])], header=("metric", "value")
        )
    output.emit(command, outcome, human=human)


def _flat(metrics: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested metrics as rows of dotted names."""
    rows: list[tuple[str, Any]] = []
    for name, value in metrics.items():
        nested = isinstance(value, dict)
        rows += _flat(value, f"{prefix}{name}.") if nested else [(prefix + name, value)]
    return rows
