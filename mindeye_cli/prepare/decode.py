"""Encoded pictures (JPEG, PNG, ...) that nobody vouches for, decoded within bounds."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mindeye_cli.prepare.npy import reason
from mindeye_store.errors import InvalidInput, MissingResource

# A picture of more pixels is refused before it is decoded: 50 megapixels are 150 MB.
MAX_PIXELS = 50_000_000
# What Pillow's readers raise on damaged files.
_DAMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


@contextmanager
def opened(source: Path | bytes, where: str) -> Iterator[Image.Image]:
    """Open a picture, read its header, and see that it is not too large.

    Raises
    ------
    MissingResource
        No such file.
    InvalidInput
        Not a picture, or more than `MAX_PIXELS`.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures and odd metadata; the size is checked here.
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
    except FileNotFoundError as error:
        raise MissingResource("the picture is missing", where=where) from error
    except (UnidentifiedImageError, *_DAMAGE) as error:
        raise InvalidInput("not a picture that can be read", where=where) from error
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise InvalidInput(f"{image.width}x{image.height} pixels are too many", where=where)
        yield image


def decode_rgb(image: Image.Image, where: str) -> Image.Image:
    """Decode an opened picture to RGB.

    Raises
    ------
    InvalidInput
        It is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return image.convert("RGB")
    except _DAMAGE as error:
        raise InvalidInput(f"the picture is damaged: {reason(error)}", where=where) from error


def pixels_of(source: bytes, where: str, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Decode a picture, uint8 (H, W, 3).

    Parameters
    ----------
    source : bytes
    where : str
        What it is, for messages.
    size : (int, int), optional
        Height and width that it must have; known from the header, before it is decoded.

    Raises
    ------
    InvalidInput
        It is damaged or of another size.
    """
    with opened(source, where) as image:
        found = (image.height, image.width)
        if size is not None and found != size:
            raise InvalidInput(
                f"the picture is {found[1]}x{found[0]} but the others are {size[1]}x{size[0]}",
                where=where,
            )
        return np.asarray(decode_rgb(image, where))
