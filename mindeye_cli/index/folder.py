"""A folder of pictures becomes shards of the index: embedded in pieces that are kept.

Each piece is written by rename, metadata first, so a build that is cut short repeats one piece at
most; pictures that are added later make new pieces.

Shapes: `B` pictures of one size, `D` width of a pooled SPACE.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.atomic import write_bytes, write_json
from mindeye_cli.core.neighbours.manifest import EMBEDDINGS, ENCODER
from mindeye_cli.core.neighbours.needs import need_pyarrow
from mindeye_cli.core.progress import track
from mindeye_cli.index.options import IndexOptions
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem
from mindeye_store.files import read_json

PIECE = 2048  # pictures of a shard
BATCH = 32


def embed_pictures(options: IndexOptions) -> IndexOptions:
    """Embed the pictures of a folder that has no shards; the options with the shards' folder.

    Parameters
    ----------
    options : IndexOptions

    Raises
    ------
    UsageProblem
        No SPACE was given, or one that is not pooled.
    InvalidInput
        A picture is damaged or has changed, or the encoder is another than before.
    MissingResource
        An embedded picture is gone, or the encoder's weights are absent.
    """
    files = _pictures(options.source)
    if not files:
        return options
    if options.space is None:
        raise UsageProblem(
            "pictures are embedded in a SPACE",
            where="--space",
            fix="--space open_clip:MODEL:PRETRAINED, or --space scene-clip:pooled",
        )
    home = options.index / EMBEDDINGS
    done, pieces = _done(home, files, options)
    todo = [name for name in files if name not in done]
    if todo:
        _embed(options, home, todo, files, pieces)
    return replace(options, source=home)


def _pictures(folder: Path) -> dict[str, tuple[int, int]]:
    """Picture files under a folder that holds no shards: name -> size and time."""
    from mindeye_cli.core.neighbours.decode import SUFFIXES

    if (folder / "img_emb").is_dir() or any(folder.glob("*.npy")):
        return {}
    found = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in found
    }


def _done(
    home: Path, files: dict[str, tuple[int, int]], options: IndexOptions
) -> tuple[set[str], int]:
    """Names that are embedded, and the number of pieces."""
    parquet = need_pyarrow("pyarrow.parquet")
    done: set[str] = set()
    numbers = sorted(int(path.stem.rsplit("_", 1)[1]) for path in home.glob("img_emb/*.npy"))
    for number in numbers:
        table = parquet.read_table(_metadata(home, number)).to_pylist()
        for record in table:
            name = record["image_path"]
            if name not in files:
                raise MissingResource(
                    "a picture of the index is absent",
                    where=str(options.source / name),
                    fix="put it back, or index again with --overwrite",
                )
            if files[name] != (record["bytes"], record["mtime_ns"]):
                raise InvalidInput(
                    "the picture has changed since it was embedded",
                    where=str(options.source / name),
                    fix="index again with --overwrite",
                )
            done.add(name)
    return done, (numbers[-1] + 1 if numbers else 0)


def _embed(
    options: IndexOptions,
    home: Path,
    todo: list[str],
    files: dict[str, tuple[int, int]],
    first: int,
) -> None:
    from mindeye_cli.models.encoders import load_encoder

    assert options.space is not None
    encoder = load_encoder(options.space, options.weights)
    if int(np.prod(encoder.shape)) != encoder.shape[-1]:
        raise UsageProblem(
            f"{options.space} has {encoder.shape} numbers a picture, an index wants one vector",
            where="--space",
            fix="give its :pooled output",
        )
    _same_encoder(home, options, encoder.fingerprint)
    with track("embed", len(todo), unit="pictures") as bar:
        for low in range(0, len(todo), PIECE):
            names = todo[low : low + PIECE]
            rows = np.concatenate([*_rows(options.source, names, encoder)])
            number = first + low // PIECE
            _write_piece(home, number, names, [files[name] for name in names], rows)
            bar.advance(len(names))


def _same_encoder(home: Path, options: IndexOptions, fingerprint: str) -> None:
    """Write down what embeds, and where the pictures are, or find that it was another encoder."""
    facts = {"space": options.space, "fingerprint": fingerprint}
    there = read_json(home / ENCODER) if (home / ENCODER).is_file() else facts
    if {name: there.get(name) for name in facts} != facts:
        raise InvalidInput(
            "the index' pictures were embedded by another encoder",
            where=str(home / ENCODER),
            fix="give the same --space and --weights, or --overwrite",
        )
    write_json(home / ENCODER, {**facts, "pictures": str(options.source)})


def _rows(source: Path, names: list[str], encoder: Any) -> Iterator[NDArray[np.float16]]:
    """Embeddings at length 1, float16 (B, D); pictures of one size go together."""
    for low in range(0, len(names), BATCH):
        pictures = (_read(source / name) for name in names[low : low + BATCH])
        for _, group in groupby(pictures, key=lambda picture: picture.shape):
            rows = encoder.encode(np.stack(list(group)))
            rows = rows.reshape(len(rows), -1).astype(np.float64)
            yield (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def _read(path: Path) -> NDArray[np.uint8]:
    from mindeye_cli.core.neighbours.decode import NoPicture, decode

    try:
        return decode(path.read_bytes())
    except NoPicture as problem:
        raise InvalidInput(
            "the picture is damaged", where=str(path), fix="repair or remove it, and run again"
        ) from problem


def _write_piece(
    home: Path,
    number: int,
    names: list[str],
    stamps: list[tuple[int, int]],
    rows: NDArray[np.float16],
) -> None:
    arrow, parquet = need_pyarrow("pyarrow"), need_pyarrow("pyarrow.parquet")
    table = arrow.table(
        {
            "image_path": names,
            "bytes": [size for size, _ in stamps],
            "mtime_ns": [time for _, time in stamps],
        }
    )
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    write_bytes(_metadata(home, number), buffer.getvalue())
    buffer = io.BytesIO()
    np.save(buffer, rows, allow_pickle=False)
    write_bytes(home / "img_emb" / f"img_emb_{number:04d}.npy", buffer.getvalue())


def _metadata(home: Path, number: int) -> Path:
    return home / "metadata" / f"metadata_{number:04d}.parquet"
