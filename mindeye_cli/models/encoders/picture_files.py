"""A folder of picture files, encoded into a SPACE in the order of their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mindeye_cli.core.progress import track
from mindeye_cli.models.encoders.base import Encoder
from mindeye_store.errors import InvalidInput, MissingResource

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
BATCH = 64
# The least and greatest number of pixels: a link to one dot, or a bomb, is no picture.
LEAST_SIDE, MOST_PIXELS = 2, 100_000_000


def picture_files(path: Path) -> list[Path]:
    """The pictures of a folder, sub-folders included, by name; or the one file that is given.

    Raises
    ------
    MissingResource
        There is nothing at the path.
    InvalidInput
        The folder holds no picture.
    """
    if not path.exists():
        raise MissingResource("no such picture or folder", where=str(path), fix="check the path")
    if path.is_file():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
    if not found:
        raise InvalidInput(
            "the folder holds no pictures", where=str(path), fix=f"put {', '.join(SUFFIXES)} there"
        )
    return found


def read_picture(file: Path) -> Pixels:
    """One picture as RGB, uint8 (H, W, 3); transparency is laid over white.

    Raises
    ------
    InvalidInput
        A damaged file, or one of a size that is no picture's.
    """
    try:
        with Image.open(file) as opened:
            if opened.width * opened.height > MOST_PIXELS or min(opened.size) < LEAST_SIDE:
                raise InvalidInput(f"{opened.width}x{opened.height} pixels", where=str(file))
            picture = opened.convert("RGBA" if "A" in opened.getbands() else "RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as problem:
        raise InvalidInput(f"not a readable picture: {problem}", where=str(file)) from problem
    if picture.mode == "RGBA":
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture).convert("RGB")
    return np.asarray(picture)


def encode_files(files: Sequence[Path], encoder: Encoder) -> Floats:
    """Flattened embeddings of picture files of any sizes, float32 (n, D)."""
    rows = []
    with track("encode pictures", len(files)) as bar:
        for batch in _of_one_size(files):
            values = encoder.encode(np.stack(batch))
            rows.append(values.reshape(len(values), -1))
            bar.advance(len(batch))
    return np.concatenate(rows).astype(np.float32)


def _of_one_size(files: Sequence[Path]) -> Iterator[list[Pixels]]:
    """Consecutive pictures of one size, at most a batch of them, in order."""
    batch: list[Pixels] = []
    for file in files:
        pixels = read_picture(file)
        if batch and (pixels.shape != batch[0].shape or len(batch) == BATCH):
            yield batch
            batch = []
        batch.append(pixels)
    if batch:
        yield batch
