"""The stages before the choice, each with its own models in memory and no others.

Every stage leaves one file a batch, whole or not at all, and passes over the batches that have it;
it yields a batch's number when its file is there, where the caller may stop.

Shapes: `N` items, `K` candidates, `T` tokens, `D` width, `H W` a picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.progress import track
from mindeye_cli.models.decoders import load_decoder, to_pixels
from mindeye_cli.models.decoders.base import Decoder, Floats, Pixels, Sampling
from mindeye_cli.models.run_model import load_run
from mindeye_cli.reconstruct.ceiling import CEILING, true_semantic
from mindeye_cli.reconstruct.conditions import semantic
from mindeye_cli.reconstruct.plan import Batch, Item, spread
from mindeye_cli.reconstruct.save import blurry_file, finite, write_png
from mindeye_cli.reconstruct.setting import Setting
from mindeye_cli.reconstruct.stage_files import (
    is_kept,
    read_batch,
    read_one,
    stage_file,
    write_batch,
)
from mindeye_cli.reconstruct.without import latent_decoder, read_latents


def embeddings(setting: Setting, out: Path, batches: list[Batch]) -> Iterator[int]:
    """Run the semantic model once for every image, and its prior for every candidate."""
    missing = [batch for batch in batches if not is_kept(stage_file(out, "semantic", batch[0]))]
    options = setting.options
    if not missing:
        return
    assert options.high is not None  # Options refuses a generator without --high
    run = load_run(options.high, setting.subject.name)
    record = setting.plan.settings["runs"]["high"]
    with track("high-level", count(missing), unit="images") as bar:
        for number, items in missing:
            if options.control == CEILING:
                embedding, brain = true_semantic(setting.store, record, items, run.target_norm)
            else:
                embedding, brain = semantic(
                    run, setting.brain, items, options.average, options.details.prior
                )
            arrays = {"embedding": embedding, "brain": brain}
            write_batch(stage_file(out, "semantic", number), arrays)
            bar.advance(len(items))
            yield number


def latents(setting: Setting, out: Path, batches: list[Batch]) -> Iterator[int]:
    """Run the low-level model, when there is one."""
    options = setting.options
    missing = [batch for batch in batches if not is_kept(stage_file(out, "latent", batch[0]))]
    if options.low is None or not missing:
        return
    run = load_run(options.low, setting.subject.name)
    with track("low-level", count(missing), unit="images") as bar:
        for number, items in missing:
            latent = read_latents(setting, run, items)
            write_batch(stage_file(out, "latent", number), {"latent": latent})
            bar.advance(len(items))
            yield number


def blurry(setting: Setting, out: Path, batches: list[Batch]) -> Iterator[int]:
    """Write the low-level pictures beside the others, when there is a low-level run.

    One that is not finite is left out, which fails its item in the end.
    """
    if setting.options.low is None:
        return
    decoder = None
    for number, items in batches:
        files = [blurry_file(out, item.name) for item in items]
        if all(file.exists() for file in files):
            continue
        decoder = decoder or latent_decoder(setting)
        latent = read_batch(stage_file(out, "latent", number))["latent"]
        drawn = decoder.decode(latent)
        for file, picture, good in zip(files, drawn, finite(drawn), strict=True):
            if good and not file.exists():
                write_png(file, to_pixels(picture), setting.options.control)
        yield number


def candidates(setting: Setting, out: Path, batches: list[Batch]) -> Iterator[int]:
    """Draw every candidate of the batches that have none, or on which the generator failed."""
    missing = [(number, items) for number, items in batches if not _drawn(out, number)]
    if not missing:
        return
    options = setting.options
    decoder = load_decoder(options.decoder, options.weights)
    memory = options.details.memory
    decoder.save_memory(offload=memory.offload, slicing=memory.slicing)
    sampling = Sampling(**setting.sampling)
    together = setting.plan.rounding.batch_pictures
    with track("generator", count(missing), unit="images") as bar:
        for number, items in missing:
            _draw_batch(decoder, sampling, together, out, number, items)
            bar.advance(len(items))
            yield number


def _draw_batch(
    decoder: Decoder,
    sampling: Sampling,
    together: int,
    out: Path,
    number: int,
    items: tuple[Item, ...],
) -> None:
    """Leave `pictures`, uint8 (N, K, H, W, 3), and `fine`, bool (N,): whether they are pictures.

    They are drawn `together` at a time, which is what fits the memory.
    """
    latent = stage_file(out, "latent", number)
    starts = spread(read_batch(latent)["latent"], items) if latent.exists() else None
    embedding = read_batch(stage_file(out, "semantic", number))["embedding"]
    seeds = [seed for item in items for seed in item.seeds]
    parts = []
    for first in range(0, len(seeds), together):
        part = slice(first, first + together)
        start = None if starts is None else starts[part]
        parts.append(_drawn_pixels(decoder.generate(embedding[part], seeds[part], sampling, start)))
    flat, good = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    pictures = flat.reshape(len(items), -1, *flat.shape[1:])
    fine = np.asarray(good.reshape(len(items), -1).all(axis=1))
    file = stage_file(out, "drawn", number)
    if is_kept(file):  # What an earlier process drew well stays as it is.
        before = read_batch(file)
        pictures[before["fine"]] = before["pictures"][before["fine"]]
        fine |= before["fine"]
    write_batch(file, {"pictures": pictures, "fine": fine})


def _drawn_pixels(values: Floats) -> tuple[Pixels, NDArray[np.bool_]]:
    """Pictures of 8 bits, black where they are none, and whether they are."""
    fine = finite(values)
    return to_pixels(np.where(fine[:, None, None, None], values, np.float32(0.0))), fine


def _drawn(out: Path, number: int) -> bool:
    file = stage_file(out, "drawn", number)
    return is_kept(file) and bool(read_one(file, "fine").all())


def count(batches: list[Batch]) -> int:
    """Items in some batches."""
    return sum(len(items) for _, items in batches)
