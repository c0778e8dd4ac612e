"""Pictures without a generator: the low-level run's own, and the nearest training image.

Shapes: `N` items, `D` flattened embedding, `C h w` a latent.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.trials import training_trials
from mindeye_cli.models.decoders import to_pixels
from mindeye_cli.models.decoders.base import Floats
from mindeye_cli.models.decoders.latent_rgb import LatentRgb, fit_latent_rgb
from mindeye_cli.models.decoders.latents import LatentDecoder
from mindeye_cli.models.decoders.load import load_latent_decoder
from mindeye_cli.models.run_model import RunModel, load_run
from mindeye_cli.reconstruct.ceiling import CEILING, true_targets
from mindeye_cli.reconstruct.conditions import predict_items
from mindeye_cli.reconstruct.plan import Batch, Item
from mindeye_cli.reconstruct.save import Done, finite, record
from mindeye_cli.reconstruct.setting import Setting

LATENT_FAILED = "the low-level run gave values that are not finite"
EMBEDDING_FAILED = "the high-level run gave values that are not finite"
# Training images read at a time.
FIT_ROWS = 256


def low_level(setting: Setting, out: Path, batches: list[Batch]) -> Iterator[Done]:
    """Write the low-level run's own pictures, but for those that are not finite."""
    options = setting.options
    assert options.low is not None  # Options refuses this decoder without --low
    run, decoder = load_run(options.low, setting.subject.name), latent_decoder(setting)
    for number, items in batches:
        drawn = decoder.decode(read_latents(setting, run, items))
        fine = finite(drawn)
        good = zip(compress(items, fine), drawn[fine], strict=True)
        lines = [record(item, out, to_pixels(picture), options.control) for item, picture in good]
        yield number, lines, failures(items, fine, LATENT_FAILED)


def read_latents(setting: Setting, run: RunModel, items: tuple[Item, ...]) -> Floats:
    """The low-level run's latents of some items, or the true ones for the ceiling."""
    if setting.options.control == CEILING:
        return true_targets(setting.store, run.space, items)
    average = setting.options.average
    return predict_items(run, setting.brain, items, ("latent",), average)["latent"]


def nearest(setting: Setting, out: Path, batches: list[Batch]) -> Iterator[Done]:
    """Copy, for each item, the training image whose target is nearest to the prediction."""
    options, store = setting.options, setting.store
    assert options.high is not None  # Options refuses this decoder without --high
    run = load_run(options.high, setting.subject.name)
    rows = training_trials(store, setting.subject).image_rows
    pool = _unit(store.target(run.space).read(rows))
    output = "prediction" if run.kind == "ridge" else "retrieval"
    for number, items in batches:
        predicted = predict_items(run, setting.brain, items, (output,), options.average)[output]
        fine = finite(predicted)
        similarity = _unit(predicted[fine]) @ pool.T
        found = rows[similarity.argmax(axis=1)]
        records = []
        for item, row, score, picture in zip(
            compress(items, fine),
            found,
            similarity.max(axis=1),
            store.images.read(found),
            strict=True,
        ):
            extra = {"source_row": int(row), "scores": [float(score)]}
            records.append({**record(item, out, picture, options.control), **extra})
        yield number, records, failures(items, fine, EMBEDDING_FAILED)


def failures(items: tuple[Item, ...], fine: NDArray[np.bool_], reason: str) -> dict[str, str]:
    """The reason by the name of every item that is not fine."""
    return {item.name: reason for item, good in zip(items, fine, strict=True) if not good}


def latent_decoder(setting: Setting) -> LatentDecoder | LatentRgb:
    """What turns the low-level run's latents into pictures beside the chosen decoder."""
    options = setting.options
    space = str(setting.plan.settings["runs"]["low"]["space"])
    if options.decoder != "latent-rgb":
        return load_latent_decoder(options.decoder, space, options.weights)
    store = setting.store
    rows, targets = training_trials(store, setting.subject).image_rows, store.target(space)
    parts = [rows[k : k + FIT_ROWS] for k in range(0, len(rows), FIT_ROWS)]
    return fit_latent_rgb((targets.read(part), store.images.read(part)) for part in parts)


def _unit(values: Any) -> Floats:
    flat = np.asarray(values, dtype=np.float32).reshape(len(values), -1)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
