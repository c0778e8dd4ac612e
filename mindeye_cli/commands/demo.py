"""`mindeye demo`: the whole path on a simulated brain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mindeye_cli import options as shared
from mindeye_cli import output
from mindeye_cli.lazy import command_app

app = command_app()


@app.command()
def demo(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write.")] = Path(
        "mindeye-demo"
    ),
    seed: shared.Seed = 0,
    fast: Annotated[
        bool, typer.Option("--fast", help="A much smaller run; its scores prove nothing.")
    ] = False,
) -> None:
    """Run the whole path on simulated data, offline."""
    from mindeye_cli.demo.run import demo as run

    outcome = run(out, seed=seed, fast=fast)
    output.emit("demo", outcome, human=_summary(outcome.values))


def _summary(values: dict[str, Any]) -> str:
    """Scores beside their controls, and what the run cost."""
    retrieval = [
        (f"{name} {direction}", scores[key]["top1"], scores[key]["chance"])
        for name, scores in values["retrieval"].items()
        for direction, key in (
            ("brain -> image", "image_retrieval"),
            ("image -> brain", "brain_retrieval"),
        )
    ]
    scores = [(name, metric["value"]) for name, metric in values["metrics"].items()]
    cost = (
        f"{values['seconds']:.0f} s, {values['cpu_seconds']:.0f} CPU-s,"
        f" at most {values['peak_rss_gb']:.2f} GB"
    )
    return "\n\n".join(
        (
            output.table(retrieval, header=("retrieval, top-1", "score", "chance")),
            output.table(scores, header=("reconstruction", "score")),
            cost,
        )
    )
