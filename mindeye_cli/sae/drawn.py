"""Pictures that a generator draws of embeddings before and after a code was set.

Shapes: `n` images, `D` width.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mindeye_cli.core.atomic import write_bytes
from mindeye_cli.core.norms import impose_norm
from mindeye_cli.core.sampler import derived_seed
from mindeye_cli.models.decoders.base import Sampling, to_pixels
from mindeye_cli.sae.opened import Sae
from mindeye_store.errors import InvalidInput, UsageProblem

Floats = NDArray[np.float32]
SIDE, GAP = 128, 4


def draw_pairs(
    path: Path,
    stimuli: NDArray[np.uint8],
    vectors: tuple[Floats, Floats],
    sae: Sae,
    decoder: str,
    weights: Path | None,
    seed: int,
) -> None:
    """Write a PNG, a row an image: stimulus | drawn as decoded | drawn with the code set.

    Both drawings of a row start from the same noise.

    Parameters
    ----------
    path : Path
    stimuli : uint8 array (n, H, W, 3)
    vectors : two float32 arrays (n, D)
    sae : Sae
    decoder : str
    weights : Path or None
    seed : int

    Raises
    ------
    UsageProblem
        The generator takes another space.
    InvalidInput
        It failed on a row.
    """
    from mindeye_cli.models.decoders.load import load_decoder
    from mindeye_cli.models.decoders.registry import decoder_facts

    wanted = decoder_facts(decoder).space
    if wanted != sae.info.space:
        raise UsageProblem(
            f"decoder {decoder} draws {wanted}, the autoencoder reads {sae.info.space}",
            where="--decoder",
            fix=f"train an autoencoder and a brain run on {wanted}",
        )
    generator = load_decoder(decoder, weights)
    shape, norm = sae.info.details["target_shape"], sae.info.details["target_norm"]
    how = generator.defaults
    sampling = Sampling(steps=how.steps, guidance=how.guidance, strength=1.0)
    seeds = [derived_seed(seed, "clamp picture", i) for i in range(len(stimuli))]
    columns: list[Any] = [stimuli]
    for rows in vectors:
        embeddings = impose_norm(rows.reshape(-1, *shape), norm)
        drawn = generator.generate(embeddings, seeds, sampling, None)
        if not np.isfinite(drawn).all():
            raise InvalidInput("the generator failed on a picture", where=decoder)
        columns.append(to_pixels(drawn))
    buffer = io.BytesIO()
    _sheet(columns).save(buffer, format="PNG")
    write_bytes(path, buffer.getvalue())


def _sheet(columns: list[NDArray[np.uint8]]) -> Image.Image:
    cell = SIDE + GAP
    sheet = Image.new("RGB", (len(columns) * cell - GAP, len(columns[0]) * cell - GAP), "white")
    for c, pictures in enumerate(columns):
        for r, pixels in enumerate(pictures):
            tile = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            sheet.paste(tile, (c * cell, r * cell))
    return sheet
