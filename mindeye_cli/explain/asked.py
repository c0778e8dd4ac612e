"""The images that an explanation is about: files, images of the store, or a query on the store.

    photo.png, ./faces        a picture file, or a folder of them
    image:ID                  an image of the store
    caption:dog               images of the store whose caption holds the word or words
    where:category=face       images whose record says so; several with commas, dots for what is
                              inside (`objects.0.category=face`)

Shapes: `n` images, `D` features of the encoding model, `Q` flattened target of the run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.retrieval_scores import cosine
from mindeye_cli.core.target_rows import image_vectors
from mindeye_cli.explain.encoder import Encoder
from mindeye_cli.models.encoders import load_encoder
from mindeye_cli.models.encoders.picture_files import encode_files, picture_files, read_picture
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Pixels = NDArray[np.uint8]
# Two pictures of this cosine are one: what a resized copy of a photograph keeps.
SAME = 0.999
QUERIES = ("image:", "caption:", "where:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Images with their features.

    Attributes
    ----------
    text : str
        As it was typed.
    names : tuple of str
        File names or ids.
    vectors : float32 array (n, D)
    targets : float32 array (n, Q)
        In the run's SPACE; the same array where that is the encoding model's.
    rows : int64 array (n,)
        The image of the store that each one is, -1 where it is none.
    pixels : tuple of uint8 arrays (H, W, 3)
    """

    text: str
    names: tuple[str, ...]
    vectors: Floats
    targets: Floats
    rows: Rows
    pixels: tuple[Pixels, ...]


def find_images(text: str, encoder: Encoder, weights: Path | None = None) -> Asked:
    """Read what is asked about.

    Parameters
    ----------
    text : str
    encoder : Encoder
    weights : Path, optional
        Of the SPACE's encoder.

    Raises
    ------
    UsageProblem
        Not a query.
    MissingResource
        No such file or id, or the encoder's weights are absent.
    InvalidInput
        A damaged picture, a query that finds nothing, or another encoder than the store's.
    """
    if text.startswith(QUERIES):
        return _of_store(text, encoder, np.array(sorted(_query(text, encoder)), dtype=np.int64))
    files = picture_files(Path(text))
    vectors = _encode(files, encoder, encoder.space, weights)
    targets = vectors
    if encoder.info.space != encoder.space:
        targets = _encode(files, encoder, encoder.info.space, weights)
    return Asked(
        text=text,
        names=tuple(file.name for file in files),
        vectors=vectors,
        targets=targets,
        rows=_known(encoder, vectors),
        pixels=tuple(read_picture(file) for file in files[:SHOWN]),
    )


# Pictures that are kept to be shown.
SHOWN = 24


def _encode(files: Sequence[Path], encoder: Encoder, space: str, weights: Path | None) -> Floats:
    network = load_encoder(space, weights)
    recorded = str(encoder.store.target(space).attrs["fingerprint"])
    if network.fingerprint != recorded:
        raise InvalidInput(
            f"{space} comes from another encoder here than the store's targets",
            where=str(encoder.store.path),
            fix="give the weights that they were made with: --weights PATH",
        )
    return encode_files(files, network)


def _of_store(text: str, encoder: Encoder, rows: Rows) -> Asked:
    vectors = encoder.vectors(rows)
    targets = vectors
    if encoder.info.space != encoder.space:
        targets = image_vectors(encoder.store.target(encoder.info.space), rows)
    images = encoder.store.images
    return Asked(
        text=text,
        names=tuple(images.ids[row] for row in rows),
        vectors=vectors,
        targets=targets,
        rows=rows,
        pixels=tuple(images.read(rows[:SHOWN])),
    )


def _known(encoder: Encoder, vectors: Floats) -> Rows:
    """Image rows of the store that pictures are, by their features; -1 where they are none."""
    every = np.arange(encoder.store.images.n, dtype=np.int64)
    centre = encoder.refits.model.basis.mean.numpy()
    likeness = cosine(vectors, encoder.vectors(every), centre)
    best = likeness.argmax(axis=1)
    return np.where(likeness[np.arange(len(vectors)), best] >= SAME, best, -1)


def _query(text: str, encoder: Encoder) -> list[int]:
    """Image rows that a query on the store finds."""
    kind, _, rest = text.partition(":")
    store = encoder.store
    if kind == "image":
        if rest not in store.images.rows:
            raise MissingResource(
                f"the store has no image {rest!r}",
                where=str(store.path),
                fix="give one of its ids, or a picture file",
            )
        return [store.images.rows[rest]]
    found = _captioned(rest, encoder) if kind == "caption" else _recorded(rest, encoder)
    if not found:
        raise InvalidInput(f"{text!r} finds no image", where=str(store.path))
    return found


def _captioned(words: str, encoder: Encoder) -> list[int]:
    captions = encoder.store.images.captions
    if captions is None:
        raise InvalidInput(
            "the store has no captions",
            where=str(encoder.store.path),
            fix="give a folder of pictures, or image:ID",
        )
    if not words.strip():
        raise UsageProblem("no word is asked for", where="caption:")
    pattern = re.compile(rf"\b{re.escape(words.strip())}\b", re.IGNORECASE)
    return [row for row, text in enumerate(captions) if text and pattern.search(text)]


def _recorded(condition: str, encoder: Encoder) -> list[int]:
    records = encoder.store.images.records
    if records is None:
        raise InvalidInput(
            "the store has no records of its images",
            where=str(encoder.store.path),
            fix="give a folder of pictures, or image:ID",
        )
    pairs = [part.partition("=") for part in condition.split(",")]
    if not all(key.strip() and sign and value.strip() for key, sign, value in pairs):
        raise UsageProblem(
            f"{condition!r} is not KEY=VALUE", where="where:", fix='such as "where:category=face"'
        )
    wanted = [(key.strip().split("."), value.strip()) for key, _, value in pairs]
    return [
        row
        for row, record in enumerate(records)
        if record and all(value in _values(record, path) for path, value in wanted)
    ]


def _values(record: Any, path: Sequence[str]) -> Iterator[str]:
    """Every value at the end of a path; a list is looked through, or entered by number."""
    if isinstance(record, list):
        if path and path[0].isdigit():
            yield from _values(record[int(path[0])], path[1:]) if int(path[0]) < len(record) else ()
            return
        for item in record:
            yield from _values(item, path)
    elif isinstance(record, dict):
        if path and path[0] in record:
            yield from _values(record[path[0]], path[1:])
        elif path and len(path) == 1:
            # The last name is looked for in lists of records too: category=face.
            for item in record.values():
                if isinstance(item, list | dict):
                    yield from _values(item, path)
    elif not path:
        yield str(record)
