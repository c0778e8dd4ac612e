"""`images.npy` or `images/`: the pictures of a bring-your-own data set.

All rows of `images.npy` are kept, in their order, so that a row of the store is a row of the file;
of `images/` only what `trials.csv` names, training pictures first, so that no row of a training
picture depends on the test pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mindeye_cli.prepare.annotations import Annotations
from mindeye_cli.prepare.arrays.responses import map_npy
from mindeye_cli.prepare.decode import decode_rgb, opened
from mindeye_store.errors import InvalidInput

Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayPictures:
    """Pictures in one array, uint8 (n, H, W, 3) or (n, H, W); `prefix` begins their names."""

    values: NDArray[np.uint8]
    size: tuple[int, int]
    captions: list[str] | None
    records: list[dict[str, Any]] | None
    prefix: str = ""

    @property
    def ids(self) -> list[str]:
        """Row numbers as text, after the prefix."""
        return [f"{self.prefix}{row}" for row in range(len(self.values))]

    def read(self, positions: Positions) -> NDArray[np.uint8]:
        """Pixels, uint8 (k, H, W, 3); grey is repeated in three channels."""
        pixels = np.asarray(self.values[positions])
        if pixels.ndim == 3:
            pixels = np.repeat(pixels[..., None], 3, axis=-1)
        if pixels.shape[1:3] == self.size:
            return pixels
        return np.stack([fit(Image.fromarray(one), self.size[0]) for one in pixels])


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePictures:
    """Pictures as files."""

    folder: Path
    ids: list[str]
    size: tuple[int, int]
    captions: list[str] | None
    records: list[dict[str, Any]] | None

    def read(self, positions: Positions) -> NDArray[np.uint8]:
        """Pixels, uint8 (k, H, W, 3), as RGB."""
        return np.stack([self._one(self.folder / self.ids[i]) for i in positions])

    def _one(self, path: Path) -> NDArray[np.uint8]:
        with opened(path, str(path)) as image:
            rgb = decode_rgb(image, str(path))
        if (rgb.height, rgb.width) == self.size:
            return np.asarray(rgb)
        return fit(rgb, self.size[0])


def fit(image: Image.Image, side: int) -> NDArray[np.uint8]:
    """Shorter side to `side` pixels (bicubic), then the middle square, uint8 (side, side, 3)."""
    scale = side / min(image.size)
    width, height = (max(side, round(length * scale)) for length in image.size)
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - side) // 2, (height - side) // 2
    return np.asarray(resized.crop((left, top, left + side, top + side)))


def open_array(path: Path, side: int | None, notes: Annotations, prefix: str = "") -> ArrayPictures:
    """Open `images.npy`.

    Raises
    ------
    InvalidInput
        Not uint8 (n, H, W, 3) or (n, H, W).
    """
    values = map_npy(path, "pictures")
    good = values.ndim == 3 or (values.ndim == 4 and values.shape[3] == 3)
    if values.dtype != np.uint8 or not good or not values.size:
        raise InvalidInput(
            f"{values.dtype} {values.shape} is not uint8 (n, H, W, 3) or (n, H, W)",
            where=str(path),
        )
    rows = list(range(len(values)))
    return ArrayPictures(
        values=values,
        size=(side, side) if side else (int(values.shape[1]), int(values.shape[2])),
        captions=notes.of_captions(rows),
        records=notes.of_records(rows),
        prefix=prefix,
    )


def open_files(
    folder: Path, names: Sequence[str], side: int | None, notes: Annotations
) -> FilePictures:
    """Look at the header of every picture file.

    Parameters
    ----------
    folder : Path
        `images/`.
    names : sequence of str
        Files of it, in the order of the store.
    side : int, optional
        Bring every picture to `side` x `side` pixels.
    notes : Annotations

    Raises
    ------
    InvalidInput
        A file is no picture, or two differ in size and no side is given.
    """
    size: tuple[int, int] | None = (side, side) if side else None
    for name in names:
        with opened(folder / name, str(folder / name)) as image:
            found = (image.height, image.width)
        if size is None:
            size = found
        if side is None and found != size:
            raise InvalidInput(
                f"the picture is {found[1]}x{found[0]} but {names[0]} is {size[1]}x{size[0]}",
                where=str(folder / name),
                fix="bring all to one size with --image-size 256",
            )
    keys = list(names)
    return FilePictures(
        folder=folder,
        ids=keys,
        size=size or (0, 0),
        captions=notes.of_captions(keys),
        records=notes.of_records(keys),
    )
