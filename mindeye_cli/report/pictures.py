"""Pictures inside the page, as data URIs, so that the page needs nothing beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mindeye_cli.report.blocks import Picture
from mindeye_store import open_store
from mindeye_store.errors import InvalidInput, MissingResource

SUFFIXES = (".png", ".jpg", ".jpeg")
# Up to this side a picture is kept exactly (PNG, shown with hard pixel edges); larger ones become
# JPEG, a tenth of the size.
EXACT = 96
QUALITY = 88
# Maps hold many slices: how much larger they may be than other pictures.
WIDE = 4


class Encoder:
    """Reduces and encodes pictures, and counts them and their bytes.

    Parameters
    ----------
    side : int
        Largest side in pixels.
    """

    def __init__(self, side: int) -> None:
        self.side = side
        self.count = 0
        self.bytes = 0

    def picture(
        self,
        image: Image.Image,
        alt: str,
        *,
        below: str = "",
        marked: bool = False,
        wide: bool = False,
    ) -> Picture:
        """A picture of the page, a `wide` one of more pixels; equal pixels give equal bytes."""
        self.count += 1
        uri = data_uri(image, WIDE * self.side if wide else self.side)
        self.bytes += len(uri)
        return Picture(uri=uri, alt=alt, below=below, marked=marked)


def data_uri(image: Image.Image, side: int) -> str:
    """A `data:` URI of a picture, reduced to at most `side` pixels: PNG if small, else JPEG."""
    plain = image.convert("RGB")
    plain.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    kind = "png" if max(plain.size) <= EXACT else "jpeg"
    if kind == "png":
        plain.save(buffer, format="PNG", optimize=True)
    else:
        plain.save(buffer, format="JPEG", quality=QUALITY, optimize=True)
    return f"data:image/{kind};base64," + base64.b64encode(buffer.getvalue()).decode()


def open_picture(path: Path) -> Image.Image:
    """Read a picture file.

    Raises
    ------
    InvalidInput
        The file is absent or damaged.
    """
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as problem:
        raise InvalidInput(f"not a readable picture: {problem}", where=str(path)) from problem


def stimulus_reader(kind: str, path: Path) -> Callable[[str], Image.Image]:
    """A function from an image id to the true image.

    Parameters
    ----------
    kind : {"store", "images"}
        A feature store, or a folder of pictures named by id.
    path : Path

    Raises
    ------
    MissingResource
        The store or folder is no longer there.
    """
    if not path.exists():
        raise MissingResource(
            "the stimuli are no longer there", where=str(path), fix="add --store STORE"
        )
    if kind == "images":
        return lambda image_id: open_picture(find_picture(path, image_id))
    images = open_store(path).images

    def read(image_id: str) -> Image.Image:
        if image_id not in images.rows:
            raise InvalidInput(f"no image {image_id!r} in the store", where=str(path))
        pixels: NDArray[Any] = images.read(np.asarray([images.rows[image_id]]))[0]
        return Image.fromarray(pixels)

    return read


def find_picture(folder: Path, name: str) -> Path:
    """The picture of a name in a folder, or in its `images/`.

    Raises
    ------
    InvalidInput
        There is none.
    """
    inner = folder / "images" if (folder / "images").is_dir() else folder
    for suffix in SUFFIXES:
        if (inner / f"{name}{suffix}").is_file():
            return inner / f"{name}{suffix}"
    raise InvalidInput(f"no picture of {name!r}", where=str(inner))
