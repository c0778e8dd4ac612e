"""`mindeye compare`: paired differences between evaluated reconstructions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mindeye_cli import options as shared
from mindeye_cli import output
from mindeye_cli.lazy import command_app

app = command_app()


@app.command()
def compare(
    systems: Annotated[
        list[Path],
        typer.Argument(
            metavar="A B...",
            help="Evaluated folders, or folders of one for each subject or seed.",
        ),
    ],
    metrics: Annotated[str | None, typer.Option(metavar="A,B", help="Only these metrics.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.json", help="Write the result here too.")
    ] = None,
    seed: shared.Seed = 0,
    overwrite: shared.Overwrite = False,
) -> None:
    """Compare evaluated reconstructions, image by image."""
    from mindeye_cli.compare.run import Options
    from mindeye_cli.compare.run import compare as run

    names = None if metrics is None else tuple(metrics.split(","))
    options = Options(metrics=names, seed=seed, out=out, overwrite=overwrite)
    outcome = run(systems, options)
    told = "\n\n".join(_table(item) for item in outcome.values["comparisons"])
    output.emit("compare", outcome, human=told)


def _table(comparison: dict[str, Any]) -> str:
    """Every metric, and every row's below it."""
    sets = {"": comparison["metrics"]}
    sets |= {name: row["metrics"] for name, row in comparison["rows"].items()}
    rows = [
        (
            name,
            metric,
            line["difference"],
            *line["ci95"],
            line["p"],
            line["p_holm"],
            line.get("sign_p"),
            line["n"],
            line["better"] or "-",
        )
        for name, lines in sets.items()
        for metric, line in lines.items()
    ]
    header = (
        "row",
        "metric",
        "difference",
        "ci low",
        "ci high",
        "p",
        "Holm",
        "sign",
        "n",
        "better",
    )
    left_out = [f"{name}: left out, {why}" for name, why in comparison["skipped"].items()]
    title = f"{comparison['first']} - {comparison['second']}"
    return "\n".join([title, output.table(rows, header=header), *left_out])
