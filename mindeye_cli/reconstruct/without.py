"""Pictures without a generator: the low-level run's own, and the nearest training image.

Shapes: `N` items, `D` flattened embedding, `C h w` a latent.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.core.trials import training_trials
from mindeye_cli.models.decoders import to_pixels
from mindeye_cli.models.decoders.base import Floats
from mindeye_cli.models.decoders.latent_rgb import LatentRgb, fit_latent_rgb
from mindeye_cli.models.decoders.latents import LatentDecoder
from mindeye_cli.models.decoders.load import load_latent_decoder
from mindeye_cli.models.run_model import load_run
from mindeye_cli.reconstruct.conditions import predict_items
from mindeye_cli.reconstruct.plan import Batch
from mindeye_cli.reconstruct.save import Records, record
from mindeye_cli.reconstruct.setting import Setting

# Training images read at a time.
FIT_ROWS = 256


def low_level(setting: Setting, out: Path, batches: list[Batch]) -> Iterator[Records]:
    """Write the low-level run's own pictures; yield each batch's lines of the manifest."""
    options = setting.options
    assert options.low is not None  # Options refuses this decoder without --low
    run, decoder = load_run(options.low, setting.subject.name), latent_decoder(setting)
    for number, items in batches:
        latents = predict_items(run, setting.brain, items, ("latent",), options.average)["latent"]
        drawn = zip(items, decoder.decode(latents), strict=True)
        yield number, [record(item, out, to_pixels(picture)) for item, picture in drawn]


def nearest(setting: Setting, out: Path, batches: list[Batch]) -> Iterator[Records]:
    """Copy, for each item, the training image whose target is nearest to the prediction."""
    options, store = setting.options, setting.store
    assert options.high is not None  # Options refuses this decoder without --high
    run = load_run(options.high, setting.subject.name)
    rows = training_trials(store, setting.subject).image_rows
    pool = _unit(store.target(run.space).read(rows))
    output = "prediction" if run.kind == "ridge" else "retrieval"
    for number, items in batches:
        predicted = predict_items(run, setting.brain, items, (output,), options.average)[output]
        similarity = _unit(predicted) @ pool.T
        found = rows[similarity.argmax(axis=1)]
        records = []
        for item, row, score, picture in zip(
            items, found, similarity.max(axis=1), store.images.read(found), strict=True
        ):
            extra = {"source_row": int(row), "scores": [float(score)]}
            records.append({**record(item, out, picture), **extra})
        yield number, records


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
