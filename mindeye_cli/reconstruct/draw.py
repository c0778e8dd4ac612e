"""The stages that draw pictures, each with its own models in memory and no others.

Shapes: `N` items, `K` candidates, `T` tokens, `D` width, `H W` a picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.core.progress import track
from mindeye_cli.core.trials import training_trials
from mindeye_cli.models.decoders import load_decoder, to_pixels
from mindeye_cli.models.decoders.base import Decoder, Floats, Sampling
from mindeye_cli.models.decoders.latent_rgb import LatentRgb, fit_latent_rgb
from mindeye_cli.models.decoders.latents import LatentDecoder
from mindeye_cli.models.decoders.load import load_latent_decoder
from mindeye_cli.models.run_model import load_run
from mindeye_cli.reconstruct.conditions import (
    predict_items,
    read_batch,
    semantic,
    write_batch,
)
from mindeye_cli.reconstruct.plan import Batch, Item, spread
from mindeye_cli.reconstruct.save import write_png
from mindeye_cli.reconstruct.setting import Setting

Records = tuple[int, list[dict[str, Any]]]
# Training images read at a time.
FIT_ROWS = 256


def conditions(setting: Setting, out: Path, batches: list[Batch]) -> None:
    """Run the brain models once for every batch and keep what they say."""
    missing = [batch for batch in batches if not _stage(out, batch[0]).exists()]
    if not missing:
        return
    options = setting.options
    assert options.high is not None  # Options refuses a generator without --high
    high = load_run(options.high, setting.subject.name)
    low = load_run(options.low, setting.subject.name) if options.low is not None else None
    with track("brain models", sum(len(items) for _, items in missing), unit="images") as bar:
        for number, items in missing:
            embedding, brain = semantic(high, setting.brain, items, options.average)
            arrays = {"embedding": embedding, "brain": brain}
            if low is not None:
                arrays["latent"] = predict_items(
                    low, setting.brain, items, "latent", options.average
                )
            write_batch(_stage(out, number), arrays)
            bar.advance(len(items))


def blurry(setting: Setting, out: Path, batches: list[Batch]) -> None:
    """Write the low-level pictures beside the others, when there is a low-level run."""
    if setting.options.low is None:
        return
    decoder: LatentDecoder | LatentRgb | None = None
    for number, items in batches:
        files = [out / "blurry" / f"{item.name}.png" for item in items]
        if all(file.exists() for file in files):
            continue
        decoder = decoder or _latent_decoder(setting)
        for file, picture in zip(
            files, decoder.decode(read_batch(_stage(out, number))["latent"]), strict=True
        ):
            write_png(file, to_pixels(picture))


def candidates(setting: Setting, out: Path, batches: list[Batch]) -> dict[str, str]:
    """Draw every candidate; return the items on which the generator failed, with the reason."""
    errors: dict[str, str] = {}
    missing = [
        (number, items)
        for number, items in batches
        if not all(candidate_file(out, i, k).exists() for i in items for k in range(len(i.seeds)))
    ]
    if not missing:
        return errors
    decoder = load_decoder(setting.options.decoder, setting.options.weights)
    sampling = Sampling(**setting.sampling)
    with track("generator", sum(len(items) for _, items in missing), unit="images") as bar:
        for number, items in missing:
            errors |= _draw_batch(decoder, sampling, out, number, items)
            bar.advance(len(items))
    return errors


def _draw_batch(
    decoder: Decoder, sampling: Sampling, out: Path, number: int, items: tuple[Item, ...]
) -> dict[str, str]:
    stage = read_batch(_stage(out, number))
    latents = spread(stage["latent"], items) if "latent" in stage else None
    seeds = [seed for item in items for seed in item.seeds]
    pictures = decoder.generate(stage["embedding"], seeds, sampling, latents)
    drawn = pictures.reshape(len(items), -1, *pictures.shape[1:])
    errors = {}
    for item, row in zip(items, drawn, strict=True):
        if not np.isfinite(row).all():
            errors[item.name] = "the generator gave values that are not finite"
            continue
        for k, picture in enumerate(row):
            write_png(candidate_file(out, item, k), to_pixels(picture))
    return errors


def low_level(setting: Setting, out: Path, batches: list[Batch]) -> Iterator[Records]:
    """Write the low-level run's own pictures; yield each batch's lines of the manifest."""
    options = setting.options
    assert options.low is not None  # Options refuses this decoder without --low
    run, decoder = load_run(options.low, setting.subject.name), _latent_decoder(setting)
    for number, items in batches:
        latents = predict_items(run, setting.brain, items, "latent", options.average)
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
        predicted = predict_items(run, setting.brain, items, output, options.average)
        similarity = _unit(predicted) @ pool.T
        found = rows[similarity.argmax(axis=1)]
        records = []
        for item, row, score, picture in zip(
            items, found, similarity.max(axis=1), store.images.read(found), strict=True
        ):
            extra = {"source_row": int(row), "scores": [float(score)]}
            records.append({**record(item, out, picture), **extra})
        yield number, records


def record(item: Item, out: Path, pixels: Any) -> dict[str, Any]:
    """Write an item's picture and return its line of the manifest."""
    file = Path("images") / f"{item.name}.png"
    write_png(out / file, pixels)
    return {
        "name": item.name,
        "id": item.image_id,
        "image_row": item.image_row,
        "trial_row": item.trial_row,
        "file": str(file),
        "seeds": list(item.seeds),
    }


def candidate_file(out: Path, item: Item, k: int) -> Path:
    """Where candidate `k` of an item lies."""
    return out / "candidates" / item.name / f"{k:02d}.png"


def read_brain(out: Path, number: int) -> Floats:
    """The brain's embedding of a batch, float32 (N, T, D)."""
    return read_batch(_stage(out, number))["brain"]


def _latent_decoder(setting: Setting) -> LatentDecoder | LatentRgb:
    options = setting.options
    space = str(setting.plan.settings["runs"]["low"]["space"])
    if options.decoder != "latent-rgb":
        return load_latent_decoder(options.decoder, space, options.weights)
    store = setting.store
    rows, targets = training_trials(store, setting.subject).image_rows, store.target(space)
    parts = [rows[k : k + FIT_ROWS] for k in range(0, len(rows), FIT_ROWS)]
    return fit_latent_rgb((targets.read(part), store.images.read(part)) for part in parts)


def _stage(out: Path, number: int) -> Path:
    return out / "stages" / f"conditions-{number:05d}.safetensors"


def _unit(values: Any) -> Floats:
    flat = np.asarray(values, dtype=np.float32).reshape(len(values), -1)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
