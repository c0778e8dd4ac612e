"""`mindeye evaluate`: scores of reconstructions, with intervals and controls."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from mindeye_cli import options as shared
from mindeye_cli import output
from mindeye_cli.lazy import command_app
from mindeye_store.errors import InvalidInput, MissingResource, PartialResult, UsageProblem

if TYPE_CHECKING:
    from mindeye_cli.evaluate.options import Options
    from mindeye_cli.evaluate.pictures import Protocol

app = command_app()
_LOG = logging.getLogger("mindeye")


@app.command()
def evaluate(
    recon: Annotated[list[Path], typer.Argument(metavar="RECON...", help="Folders or .pt files.")],
    store: Annotated[
        Path | None, typer.Option(metavar="STORE", help="Feature store with the stimuli.")
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Stimuli: a folder named by image id, or .pt."),
    ] = None,
    metrics: Annotated[str | None, typer.Option(metavar="A,B", help="Only these metrics.")] = None,
    published: Annotated[
        bool, typer.Option("--published", help="Only the eight of the published tables.")
    ] = False,
    control: Annotated[
        list[str] | None,
        typer.Option("--control", metavar="NAME=DIR", help="Score beside it; may be repeated."),
    ] = None,
    panel: Annotated[
        bool,
        typer.Option("--panel", help="Also how far scores reach beyond the training images."),
    ] = False,
    runs: Annotated[
        list[Path] | None,
        typer.Option("--run", metavar="RUN", help="Beside it in the panel; may be repeated."),
    ] = None,
    protocol: Annotated[
        str, typer.Option(metavar="NAME", help="Resizes of: mindeye, or brain-diffuser.")
    ] = "mindeye",
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="All scores as one long CSV.")
    ] = None,
    shard: shared.Shard = None,
    seed: shared.Seed = 0,
    overwrite: shared.Overwrite = False,
) -> None:
    """Score reconstructions, with intervals and controls."""
    from mindeye_cli.core.atomic import refuse_existing
    from mindeye_cli.evaluate.options import Options
    from mindeye_cli.settings import user_folder

    options = Options(
        store=store,
        images=images,
        metrics=None if metrics is None else tuple(metrics.split(",")),
        published=published,
        controls=dict(_named_folder(text) for text in control or ()),
        panel=panel,
        runs=tuple(runs or ()),
        protocol=cast("Protocol", protocol),
        keep=user_folder("cache") / "features",
        overwrite=overwrite,
        seed=seed,
    )
    if csv is not None:
        refuse_existing(csv, overwrite)
    index, count = shared.parse_shard(shard)
    _evaluate(recon[index::count], options, csv)


def _evaluate(folders: list[Path], options: Options, csv: Path | None) -> None:
    """Score and print one folder after the other; the true images are read once.

    Of several, one that cannot be scored does not keep the others from it.
    """
    from mindeye_cli.evaluate.run import evaluate as run
    from mindeye_cli.evaluate.sources import Stimuli
    from mindeye_cli.evaluate.tables import collect

    done = list[tuple[str, Path]]()
    stimuli = Stimuli(options.store, options.images)
    failed = list[str]()
    for folder in folders:
        try:
            outcome = run(folder, options, stimuli)
        except (InvalidInput, MissingResource) as problem:
            if len(folders) == 1:
                raise
            failed.append(f"{folder}: {problem}")
            _LOG.error("%s", failed[-1])
            continue
        output.emit("evaluate", outcome, human=_table(folder, outcome.values))
        done.append((str(folder), outcome.outputs[0]))
    if csv is not None:
        collect(csv, done)
    if failed:
        raise PartialResult(
            f"{len(failed)} of {len(folders)} could not be scored, first {failed[0]}",
            fix="mend them and give the same command again",
        )


def _named_folder(text: str) -> tuple[str, Path]:
    name, sign, folder = text.partition("=")
    if not (sign and name and folder):
        raise UsageProblem(f"{text!r} is not NAME=DIR", where="--control")
    return name, Path(folder)


def _table(folder: Path, values: dict[str, Any]) -> str:
    """Every metric beside its interval and all controls."""
    names = list(dict.fromkeys(n for line in values["metrics"].values() for n in line["controls"]))
    any_lost = any(line["undefined"] for line in values["metrics"].values())
    rows = []
    for metric, line in values["metrics"].items():
        beside = [line["controls"].get(name, {}).get("value") for name in names]
        better = "+" if line["direction"] == "higher" else "-"
        lost = (line["undefined"],) if any_lost else ()
        rows.append((metric, better, line["value"], *line["ci95"], line["n"], *lost, *beside))
    lost = ("undefined",) if any_lost else ()
    header = ("metric", "better", "value", "ci low", "ci high", "n", *lost, *names)
    skipped = [f"{name}: skipped, {why}" for name, why in values["skipped"].items()]
    warnings = [f"warning: {item['message']}" for item in values["warnings"]]
    shown = [str(folder), output.table(rows, header=header), *skipped]
    return "\n".join([*shown, *_panel(values.get("panel")), *warnings])


def _panel(found: dict[str, Any] | None) -> list[str]:
    """Every part of the panel, and why others are not there."""
    from mindeye_cli.evaluate.panel.show import tables

    if found is None:
        return []
    shown = [f"\n{title}\n{output.table(rows, header=head)}" for title, head, rows in tables(found)]
    return [*shown, "", *(f"{name}: skipped, {why}" for name, why in found["skipped"].items())]
