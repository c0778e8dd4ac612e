"""The nearest picture of an indexed collection, such as LAION's.

The run's embedding finds the nearest rows, and the first of them whose picture is at hand is the
answer. With a second run, of a token SPACE, the first `candidates` pictures at hand are embedded
and its own embedding chooses among them, as published (MindEye, 2023, section 4.1). A picture that
is absent is passed over; nothing ever stands in for it.

Shapes: `N` items, `D` width of the index, `m` pictures at hand, `H W` a stimulus.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import compress
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mindeye_cli.core.neighbours.at_hand import CANDIDATES, Found, NearestPictures
from mindeye_cli.models.encoders import load_encoder
from mindeye_cli.models.run_model import RunModel, load_run
from mindeye_cli.reconstruct.choose import choose
from mindeye_cli.reconstruct.conditions import Floats, predict_items
from mindeye_cli.reconstruct.plan import Batch, Item
from mindeye_cli.reconstruct.save import Done, Pixels, finite, record
from mindeye_cli.reconstruct.setting import Setting
from mindeye_cli.reconstruct.without import EMBEDDING_FAILED, failures

logger = logging.getLogger("mindeye")
NOT_AT_HAND = f"no picture of its {CANDIDATES} nearest rows is at hand"


def nearest_outside(setting: Setting, out: Path, batches: list[Batch]) -> Iterator[Done]:
    """Copy, for each item, the nearest picture of the collection, at the stimuli's size."""
    options, outside = setting.options, setting.options.outside
    assert outside is not None and options.high is not None
    run = load_run(options.high, setting.subject.name)
    collection = outside.open(run.space)
    second = None if outside.rerank is None else _Second(outside.rerank, setting)
    height, width = setting.store.images.shape[1:3]
    for number, items in batches:
        predicted = _embedding(run, setting, items)
        fine = finite(predicted)
        usable = tuple(compress(items, fine))
        errors, lines = failures(items, fine, EMBEDDING_FAILED), []
        for item, found, best, scores in _chosen(collection, second, usable, predicted[fine]):
            if not found:
                errors[item.name] = NOT_AT_HAND
                continue
            picture = fitted(found[best].pixels, height, width)
            line = record(item, out, picture, options.control)
            source = {"source": found[best].id, "coarse_rank": found[best].coarse_rank}
            lines.append({**line, **source, "scores": scores})
        yield number, lines, errors
    if collection.tally.reasons:
        logger.warning("pictures that were not at hand: %s", dict(collection.tally.reasons))


def _chosen(
    collection: NearestPictures, second: _Second | None, items: tuple[Item, ...], predicted: Floats
) -> Iterator[tuple[Item, list[Found], int, list[float]]]:
    """Of each item the pictures at hand, the best of them, and their scores."""
    if not items:
        return
    count = 1 if second is None else second.count
    brain = predicted if second is None else second.embedding(items)
    every = collection.first(predicted.reshape(len(items), -1), count)
    for item, found, row in zip(items, every, brain, strict=True):
        best, scores = 0, [one.score for one in found]
        if second is not None and found:
            best, scores = second.choose([one.pixels for one in found], row)
        yield item, found, best, scores


def fitted(picture: Pixels, height: int, width: int) -> Pixels:
    """The middle of a picture at the stimuli's size, as NSD's own were cut from photographs."""
    whole = Image.fromarray(picture)
    return np.asarray(ImageOps.fit(whole, (width, height), Image.Resampling.BICUBIC), np.uint8)


class _Second:
    """The run and the encoder that choose among pictures at hand."""

    def __init__(self, folder: Path, setting: Setting) -> None:
        self.run = load_run(folder, setting.subject.name)
        self.encoder = load_encoder(self.run.space)
        self.setting, self.count = setting, setting.options.candidates

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
