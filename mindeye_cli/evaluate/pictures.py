"""Sets of pictures that are compared entry by entry, and the features computed from them once.

Shapes: `n` entries, `H W` a picture's size, `B` a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mindeye_cli.core.fingerprint import of_array, of_json
from mindeye_store.errors import InvalidInput

# 8-bit pictures, or the floats in [0, 1] of a tensor file.
Pixels = NDArray[np.uint8] | NDArray[np.floating]
Protocol = Literal["mindeye", "brain-diffuser"]
Ints = NDArray[np.int64]
Value = TypeVar("Value")

SUFFIXES = (".png", ".jpg", ".jpeg")
# Without an alpha channel; anything else has no one meaning as an RGB picture.
MODES = ("RGB", "L", "P", "1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Pictures of equal size in a fixed order.

    Attributes
    ----------
    ids : tuple of str
        The image behind each entry; repeated when single trials were reconstructed.
    pixels : uint8 array (n, H, W, 3), or float array of values in [0, 1]
    records : tuple of dict or None
        Scene records of the images, when they are procedural scenes.
    cache : dict
        Features by name, so that every network sees the set once.
    protocol : {"mindeye", "brain-diffuser"}
        Whose resizes are used.
    keep : Path or None
        Where features of large networks are kept for later evaluations.
    """

    ids: tuple[str, ...]
    pixels: Pixels
    records: tuple[dict[str, Any], ...] | None = None
    cache: dict[str, Any] = field(default_factory=dict)
    protocol: Protocol = "mindeye"
    keep: Path | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def groups(self) -> Ints:
        """The image of each entry as a number from 0, int64 (n,)."""
        return np.unique(np.asarray(self.ids), return_inverse=True)[1].astype(np.int64)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the pixels in order."""
        return self.cached("fingerprint", lambda: _fingerprint(self.pixels))

    def cached(self, key: str, compute: Callable[[], Value]) -> Value:
        """What `compute` returned the first time it was asked for under `key`."""
        if key not in self.cache:
            self.cache[key] = compute()
        value: Value = self.cache[key]
        return value


def _fingerprint(pixels: Pixels) -> str:
    """Of 8-bit pictures as one array; of floats, which may be mapped from a file, row by row."""
    if pixels.dtype == np.uint8:
        return of_array(pixels)
    return of_json([of_array(row) for row in pixels])


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read one picture as RGB.

    Returns
    -------
    uint8 array (H, W, 3)

    Raises
    ------
    InvalidInput
        A damaged file, or one with transparency.
    """
    try:
        with Image.open(path) as picture:
            if picture.mode not in MODES:
                raise InvalidInput(
                    f"a picture of mode {picture.mode} has no plain RGB values",
                    where=str(path),
                    fix="save it as 8-bit RGB without transparency",
                )
            return np.asarray(picture.convert("RGB"), dtype=np.uint8)
    except (UnidentifiedImageError, OSError, SyntaxError) as problem:
        raise InvalidInput(f"not a readable picture: {problem}", where=str(path)) from problem


def read_pictures(files: Sequence[Path]) -> NDArray[np.uint8]:
    """Read pictures that must be of one size.

    Returns
    -------
    uint8 array (n, H, W, 3)

    Raises
    ------
    InvalidInput
        A picture of another size than the first.
    """
    pictures = [read_picture(path) for path in files]
    for path, picture in zip(files, pictures, strict=True):
        if picture.shape != pictures[0].shape:
            height, width = picture.shape[:2]
            first = pictures[0].shape
            raise InvalidInput(
                f"{width} x {height} pixels, where {files[0].name} has {first[1]} x {first[0]}",
                where=str(path),
                fix="resize them to one size first",
            )
    return np.stack(pictures)


def picture_files(folder: Path) -> dict[str, Path]:
    """Pictures of a folder by name without suffix.

    Raises
    ------
    InvalidInput
        Two pictures share a name.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES:
            continue
        if path.stem in found:
            raise InvalidInput(
                f"the same name as {found[path.stem].name}", where=str(path), fix="remove one"
            )
        found[path.stem] = path
    return found
