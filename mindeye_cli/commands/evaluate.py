"""`mindeye evaluate`: scores of reconstructions, with intervals and controls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mindeye_cli import options as shared
from mindeye_cli import output
from mindeye_cli.lazy import command_app
from mindeye_store.errors import UsageProblem

app = command_app()


@app.command()
def evaluate(
    recon: Annotated[
        list[Path], typer.Argument(metavar="RECON...", help="Folders of reconstructions.")
    ],
    store: Annotated[
        Path | None, typer.Option(metavar="STORE", help="Feature store with the stimuli.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of stimuli named by image id.")
    ] = None,
    metrics: Annotated[str | None, typer.Option(metavar="A,B", help="Only these metrics.")] = None,
    control: Annotated[
        list[str] | None,
        typer.Option("--control", metavar="NAME=DIR", help="Score beside it; may be repeated."),
    ] = None,
    seed: shared.Seed = 0,
    overwrite: shared.Overwrite = False,
) -> None:
    """Score reconstructions, with intervals and controls."""
    from mindeye_cli.evaluate.run import Options
    from mindeye_cli.evaluate.run import evaluate as run
    from mindeye_cli.evaluate.sources import Stimuli

    options = Options(
        store=store,
        images=images,
        metrics=None if metrics is None else tuple(metrics.split(",")),
        controls=dict(_named_folder(text) for text in control or ()),
        overwrite=overwrite,
        seed=seed,
    )
    stimuli = Stimuli(store, images)
    for folder in recon:
        outcome = run(folder, options, stimuli)
        output.emit("evaluate", outcome, human=_table(folder, outcome.values))


def _named_folder(text: str) -> tuple[str, Path]:
    name, sign, folder = text.partition("=")
    if not (sign and name and folder):
        raise UsageProblem(f"{text!r} is not NAME=DIR", where="--control")
    return name, Path(folder)


def _table(folder: Path, values: dict[str, Any]) -> str:
    """Every metric beside its interval and all controls."""
    names = list(dict.fromkeys(n for line in values["metrics"].values() for n in line["controls"]))
    rows = []
    for metric, line in values["metrics"].items():
        beside = [line["controls"].get(name, {}).get("value") for name in names]
        better = "+" if line["direction"] == "higher" else "-"
        rows.append((metric, better, line["value"], *line["ci95"], line["n"], *beside))
    header = ("metric", "better", "value", "ci low", "ci high", "n", *names)
    skipped = [f"{name}: skipped, {why}" for name, why in values["skipped"].items()]
    warnings = [f"warning: {item['message']}" for item in values["warnings"]]
    return "\n".join([str(folder), output.table(rows, header=header), *skipped, *warnings])
