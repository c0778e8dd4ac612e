"""Pictures inside the page: PNG data URIs, so that the page needs nothing beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mindeye_store import open_store
from mindeye_store.errors import InvalidInput, MissingResource

# Larger pictures are reduced: a page of full-size ones would not travel by mail.
LARGEST = 256
SUFFIXES = (".png", ".jpg", ".jpeg")


def data_uri(picture: Image.Image) -> str:
    """A `data:image/png;base64,...` of a picture, reduced to at most 256 pixels a side."""
    plain = picture.convert("RGB")
    plain.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    plain.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def from_file(path: Path) -> str:
    """Data URI of a picture file.

    Raises
    ------
    InvalidInput
        The file is absent or damaged.
    """
    try:
        with Image.open(path) as picture:
            return data_uri(picture)
    except (UnidentifiedImageError, OSError, SyntaxError) as problem:
        raise InvalidInput(f"not a readable picture: {problem}", where=str(path)) from problem


def stimulus_reader(kind: str, path: Path) -> Callable[[str], str]:
    """A function from an image id to the data URI of the true image.

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
        return lambda image_id: from_file(_find(path, image_id))
    images = open_store(path).images

    def read(image_id: str) -> str:
        if image_id not in images.rows:
            raise InvalidInput(f"no image {image_id!r} in the store", where=str(path))
        pixels: NDArray[Any] = images.read(np.asarray([images.rows[image_id]]))[0]
        return data_uri(Image.fromarray(pixels))

    return read


def _find(folder: Path, image_id: str) -> Path:
    for suffix in SUFFIXES:
        if (folder / f"{image_id}{suffix}").is_file():
            return folder / f"{image_id}{suffix}"
    raise InvalidInput(f"no picture of {image_id!r}", where=str(folder))
