"""The nearest picture of an indexed collection, such as LAION's.

The run's embedding finds the nearest rows, and the first of them whose picture is at hand is the
answer. With a second run, of a token SPACE, the first `candidates` pictures at hand are embedded
and its own embedding chooses among them, as published (MindEye, 2023, section 4.1). A picture that
is absent is passed over; nothing ever stands in for it.

Shapes: `N` items, `D` width of the index, `m` pictures at hand, `H W` a stimulus.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from mindeye_cli.core.neighbours import metadata
from mindeye_cli.core.neighbours.at_hand import first_at_hand
from mindeye_cli.core.neighbours.pictures import Pictures
from mindeye_cli.core.neighbours.queries import unit_queries
from mindeye_cli.core.neighbours.search import Opened, nearest, open_index
from mindeye_cli.models.encoders import load_encoder
from mindeye_cli.models.run_model import RunModel, load_run
from mindeye_cli.reconstruct.choose import choose
from mindeye_cli.reconstruct.conditions import Floats, predict_items
from mindeye_cli.reconstruct.plan import Batch, Item
from mindeye_cli.reconstruct.save import Done, Pixels, finite, record
from mindeye_cli.reconstruct.setting import Setting
from mindeye_cli.reconstruct.without import EMBEDDING_FAILED, failures

logger = logging.getLogger("mindeye")
# Of the first stage, as published.
NEIGHBOURS = 300
NOT_AT_HAND = f"no picture of its {NEIGHBOURS} nearest rows is at hand"


def nearest_outside(setting: Setting, out: Path, batches: list[Batch]) -> Iterator[Done]:
    """Copy, for each item, the nearest picture of the collection, at the stimuli's size."""
    options, outside = setting.options, setting.options.outside
    assert outside is not None and options.high is not None
    opened = open_index(outside.index)
    pictures = Pictures(
        outside.pictures, outside.download, metadata.column_names(opened.collection)
    )
    run = load_run(options.high, setting.subject.name)
    second = None if outside.rerank is None else _Second(outside.rerank, setting)
    height, width = setting.store.images.shape[1:3]
    missing: Counter[str] = Counter()
    for number, items in batches:
        predicted = _embedding(run, setting, items)
        fine = finite(predicted)
        usable = tuple(compress(items, fine))
        found = _found(opened, predicted[fine])
        again = second.embedding(usable) if second is not None and usable else None
        errors, lines = failures(items, fine, EMBEDDING_FAILED), []
        for at, item in enumerate(usable):
            scores, ids, records = found[at]
            count = 1 if second is None else options.candidates
            places, at_hand = first_at_hand(records, count, pictures, missing)
            if not places:
                errors[item.name] = NOT_AT_HAND
                continue
            best, cosines = 0, [float(scores[places[0]])]
            if second is not None and again is not None:
                best, cosines = second.choose(at_hand, again[at])
            line = record(item, out, fitted(at_hand[best], height, width))
            source = {"source": ids[places[best]], "coarse_rank": places[best] + 1}
            lines.append({**line, **source, "scores": cosines})
        yield number, lines, errors
    if missing:
        logger.warning("pictures that were not at hand: %s", dict(missing))


def fitted(picture: Pixels, height: int, width: int) -> Pixels:
    """The middle of a picture at the stimuli's size, as NSD's own were cut from photographs."""
    whole = Image.fromarray(picture)
    return np.asarray(ImageOps.fit(whole, (width, height), Image.Resampling.BICUBIC), np.uint8)


class _Second:
    """The run and the encoder that choose among pictures at hand."""

    def __init__(self, folder: Path, setting: Setting) -> None:
        self.run = load_run(folder, setting.subject.name)
        self.encoder = load_encoder(self.run.space)
        self.setting = setting

    def embedding(self, items: tuple[Item, ...]) -> Floats:
        """What the brain's responses say, float32 (N, ...)."""
        return _embedding(self.run, self.setting, items)

    def choose(self, pictures: list[Pixels], brain: Floats) -> tuple[int, list[float]]:
        """The best of one item's pictures, and the cosine of each."""
        made = np.concatenate([self.encoder.encode(picture[None]) for picture in pictures])
        chosen = choose(made[None], brain[None])[0]
        return chosen.best, list(chosen.scores)


def _embedding(run: RunModel, setting: Setting, items: tuple[Item, ...]) -> Floats:
    name = "prediction" if run.kind == "ridge" else "retrieval"
    return predict_items(run, setting.brain, items, (name,), setting.options.average)[name]


def _found(opened: Opened, predicted: Floats) -> list[tuple[Floats, list[str], list[Any]]]:
    """Of each embedding: scores, SHARD:ROW and metadata of the nearest rows, best first."""
    if not len(predicted):
        return []
    vectors = unit_queries(predicted.reshape(len(predicted), -1), opened.collection.dim, "--high")
    scores, positions = nearest(opened, vectors, min(NEIGHBOURS, len(opened.collection)))
    found = []
    for row, at in zip(scores, positions, strict=True):
        there = at[at >= 0]
        ids = opened.collection.names(there)
        found.append((row[: len(there)], ids, metadata.fetch(opened.collection, there)))
    return found
