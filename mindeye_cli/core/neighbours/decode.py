"""From the bytes of a picture to pixels, or the reason why there are none."""

from __future__ import annotations

import io
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".JPEG", ".JPG", ".PNG")
# A picture of more pixels is refused before it is decoded: 100 megapixels are 300 MB.
MAX_PIXELS = 100_000_000


class NoPicture(Exception):
    """Why a picture is not at hand: `absent`, `damaged`, `blank` or `not downloaded`."""


def decode(data: bytes) -> Pixels:
    """Decode a picture as RGB.

    Parameters
    ----------
    data : bytes
        A file in any format that Pillow reads.

    Returns
    -------
    uint8 array (H, W, 3)

    Raises
    ------
    NoPicture
        It is damaged or too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # oddities of strangers' files
            with Image.open(io.BytesIO(data)) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise NoPicture("damaged")
                pixels = np.asarray(image.convert("RGB"), dtype=np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as problem:
        raise NoPicture("damaged") from problem
    return pixels


def not_blank(pixels: Pixels) -> Pixels:
    """The picture, unless it is a single colour, as servers send for what is gone.

    Raises
    ------
    NoPicture
        It is blank.
    """
    if (pixels == pixels[:1, :1]).all():
        raise NoPicture("blank")
    return pixels
