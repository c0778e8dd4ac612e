"""`mindeye retrieve`: which image a brain response belongs to, and back; indexes and search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mindeye_cli import options as shared
from mindeye_cli import output
from mindeye_cli.lazy import group_app

app = group_app("Find images from brain responses, and back.")

Where = Annotated[str | None, typer.Option(metavar="EXPR", help='Filter, such as "width >= 512".')]
DropNear = Annotated[
    float | None, typer.Option(metavar="COSINE", help="Leave out what is this near the image.")
]
Stimuli = Annotated[
    Path | None, typer.Option(metavar="S.npy", help="The images' vectors, a row a query.")
]
Pictures = Annotated[Path | None, typer.Option(metavar="DIR", help="Picture files or tar shards.")]
Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", metavar="ADDR", help="Use this Dask scheduler's workers."),
]
Moved = Annotated[
    Path | None, typer.Option(metavar="SHARDS", help="The shards' folder, if it moved.")
]


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
    keep_rois: Annotated[
        str | None,
        typer.Option(metavar="E", help='Read these areas only, such as "V1 | FFA-1".'),
    ] = None,
    drop_rois: Annotated[
        str | None, typer.Option(metavar="E", help="Read all areas but these.")
    ] = None,
    published_names: Annotated[
        bool, typer.Option("--published-names", help="Label both ways as the published code does.")
    ] = False,
    overwrite: shared.Overwrite = False,
) -> None:
    """Score image and brain retrieval in pools of the test images."""
    from mindeye_cli.retrieve.run import PoolOptions, retrieve_pool, with_published_names

    options = PoolOptions(
        pool=pool,
        draws=draws,
        split=split,
        average=average,
        subject=subject,
        seed=seed,
        keep_rois=keep_rois,
        drop_rois=drop_rois,
    )
    outcome = retrieve_pool(store, run, options, out=out, pictures=pictures, overwrite=overwrite)
    if published_names:
        outcome = with_published_names(outcome)
    output.emit("retrieve pool", outcome, human=_table(outcome.values))


@app.command("index")
def index(
    shards: Annotated[
        Path, typer.Argument(metavar="SHARDS", help="Folder of embedding shards, or of pictures.")
    ],
    index: Annotated[Path, typer.Argument(metavar="INDEX", help="Folder of the index.")],
    kind: Annotated[
        str, typer.Option(help="auto (exact below two million vectors), exact or ivf.")
    ] = "auto",
    codes: Annotated[str, typer.Option(help="Codes of inverted lists: rabitq or pq.")] = "rabitq",
    space: Annotated[
        str | None, typer.Option(metavar="SPACE", help="What the vectors are; for pictures.")
    ] = None,
    weights: shared.Weights = None,
    unnormalised: Annotated[
        bool, typer.Option("--unnormalised", help="Take rows of any length, compare by cosine.")
    ] = False,
    lists: Annotated[int | None, typer.Option(help="Number of inverted lists.")] = None,
    part_shards: Annotated[int, typer.Option(help="Shards in a part.")] = 1,
    recall: Annotated[float, typer.Option(help="Recall of the 16 nearest to reach.")] = 0.95,
    queries: Annotated[
        Path | None, typer.Option(metavar="Q.npy", help="Own vectors to measure recall with too.")
    ] = None,
    centroids: Annotated[
        Path | None, typer.Option(metavar="INDEX", help="Take over another index' centroids.")
    ] = None,
    scheduler: Scheduler = None,
    shard: shared.Shard = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Keep the parts of an unfinished build.")
    ] = True,
    seed: shared.Seed = 0,
    overwrite: shared.Overwrite = False,
) -> None:
    """Index embedding shards, or a folder of pictures, for nearest-neighbour search."""
    from mindeye_cli.index.build import build_index
    from mindeye_cli.index.options import IndexOptions

    options = IndexOptions(
        source=shards,
        index=index,
        kind=kind,
        codes=codes,
        space=space,
        weights=weights,
        unnormalised=unnormalised,
        lists=lists,
        part_shards=part_shards,
        recall=recall,
        queries=queries,
        centroids=centroids,
        scheduler=scheduler,
        shard=shared.parse_shard(shard),
        resume=resume,
        overwrite=overwrite,
        seed=seed,
    )
    outcome = build_index(options)
    output.emit("retrieve index", outcome, human=_facts(outcome.values))


@app.command("search")
def search(
    index: Annotated[Path, typer.Argument(metavar="INDEX", help="Folder of an index.")],
    queries: Annotated[
        Path | None, typer.Option(metavar="Q.npy", help="Vectors to search with.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option(metavar="STORE", help="Search with brain responses of a store.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option(metavar="RUN", help="The run that embeds the responses.")
    ] = None,
    subject: Annotated[str | None, typer.Option(help="Subject, where the run has several.")] = None,
    split: shared.Split = "test",
    k: Annotated[int, typer.Option("--k", help="Neighbours of a query.")] = 16,
    candidates: Annotated[int, typer.Option(help="Neighbours that --rerank begins with.")] = 300,
    exact: Annotated[bool, typer.Option("--exact", help="Compare with every vector.")] = False,
    where: Where = None,
    drop_near: DropNear = None,
    stimuli: Stimuli = None,
    rerank: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Rank the first pictures by a token run.")
    ] = None,
    pictures: Pictures = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch pictures from the metadata's addresses.")
    ] = False,
    weights: shared.Weights = None,
    shards: Moved = None,
    scheduler: Scheduler = None,
) -> None:
    """Print the nearest neighbours of vectors or brain responses, one JSON line a query."""
    from mindeye_cli.index.lines import search_index
    from mindeye_cli.index.search_options import SearchOptions

    options = SearchOptions(
        index=index,
        queries=queries,
        store=store,
        run=run,
        subject=subject,
        split=split,
        k=k,
        candidates=candidates,
        exact=exact,
        where=where,
        drop_near=drop_near,
        stimuli=stimuli,
        rerank=rerank,
        pictures=pictures,
        download=download,
        weights=weights,
        shards=shards,
        scheduler=scheduler,
    )
    for record in search_index(options):
        output.emit_line(record)


def _facts(values: dict[str, Any]) -> str:
    names = ("kind", "n_vectors", "parts", "built", "bytes_per_vector", "recall_at_16")
    there = [(name, values[name]) for name in names if name in values]
    note = "" if values["complete"] else "\nother shards have parts to build yet"
    return output.table(there, header=("what", "value")) + note


def _table(values: dict[str, Any]) -> str:
    rows = []
    labels = values.get("published_names", {})
    for direction in ("image_retrieval", "brain_retrieval"):
        label = labels.get(direction, direction)
        for name, entry in values[direction]["scores"].items():
            low, high = entry["ci95"]
            least, most = entry["permuted"]["range95"]
            rows.append((label, name, entry["value"], low, high, entry["chance"], least, most))
    header = ("direction", "score", "value", "ci low", "ci high", "chance", "perm low", "perm high")
    facts = f"{values['n']} images, pools of {values['pool']}, {values['draws']} drawn"
    return "\n".join([output.table(rows, header=header), facts, values["note"] or ""])
