"""`mindeye retrieve`: which image a brain response belongs to, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mindeye_cli import options as shared
from mindeye_cli import output
from mindeye_cli.lazy import group_app

app = group_app("Find images from brain responses, and back.")


@app.command("pool")
def pool(
    store: shared.Store,
    run: shared.Run,
    pool: Annotated[int, typer.Option("--pool", help="Images in a pool.")] = 300,
    draws: Annotated[int, typer.Option(help="Pools drawn without replacement.")] = 30,
    split: shared.Split = "test",
    average: Annotated[
        str, typer.Option(help="What is averaged over repeats: voxels, predictions or none.")
    ] = "voxels",
    subject: Annotated[str | None, typer.Option(help="Subject, where the run has several.")] = None,
    seed: shared.Seed = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON with the per-image table.")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(metavar="FILE", help="PNG of the nearest images.")
    ] = None,
    overwrite: shared.Overwrite = False,
) -> None:
    """Score image and brain retrieval in pools of the test images."""
    from mindeye_cli.retrieve.run import PoolOptions, retrieve_pool

    options = PoolOptions(
        pool=pool, draws=draws, split=split, average=average, subject=subject, seed=seed
    )
    outcome = retrieve_pool(store, run, options, out=out, pictures=pictures, overwrite=overwrite)
    output.emit("retrieve pool", outcome, human=_table(outcome.values))


def _table(values: dict[str, Any]) -> str:
    rows = []
    for direction in ("image_retrieval", "brain_retrieval"):
        for name, entry in values[direction]["scores"].items():
            low, high = entry["ci95"]
            least, most = entry["permuted"]["range95"]
            rows.append((direction, name, entry["value"], low, high, entry["chance"], least, most))
    header = ("direction", "score", "value", "ci low", "ci high", "chance", "perm low", "perm high")
    facts = f"{values['n']} images, pools of {values['pool']}, {values['draws']} drawn"
    return "\n".join([output.table(rows, header=header), facts, values["note"] or ""])
