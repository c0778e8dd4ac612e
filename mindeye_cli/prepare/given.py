"""`array:NAME`: target rows that a user computed, one per image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.fingerprint import of_array
from mindeye_cli.models.encoders import Encoder, array_encoder
from mindeye_store.errors import InvalidInput, MissingResource


def given_encoder(
    space: str, path: Path, ids: Path | None, images: list[str]
) -> tuple[Encoder, Callable[[NDArray[np.int64]], NDArray[Any]]]:
    """Declare a user's array as a space.

    Parameters
    ----------
    space : str
        `array:NAME`.
    path : Path
        .npy file with one row per image, at least two axes.
    ids : Path, optional
        Text file with an image id a line; without it the rows are in the store's order.
    images : list of str
        Ids of the store's images in their order.

    Returns
    -------
    Encoder, callable
        The second takes global image rows, int64 (k,), and returns (k, ...).

    Raises
    ------
    MissingResource
        No such file.
    InvalidInput
        Not a finite float array with a row for every image.
    """
    values = _load(path)
    if ids is None:
        if len(values) != len(images):
            raise InvalidInput(
                f"{len(values)} rows for {len(images)} images of the store",
                where=str(path),
                fix="give one row per image in the store's order, or name the rows with --ids",
            )
        order = np.arange(len(images))
    else:
        order = _order(ids, len(values), images)
    dtype = "float16" if values.dtype == np.float16 else "float32"
    chosen = values[order].astype(dtype)
    return array_encoder(space, chosen.shape[1:], dtype, of_array(chosen)), chosen.__getitem__


def _load(path: Path) -> NDArray[Any]:
    if not path.exists():
        raise MissingResource("the file of target rows is missing", where=str(path))
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError, MemoryError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidInput(f"cannot be read as .npy: {reason}", where=str(path)) from error
    if not isinstance(values, np.ndarray) or values.ndim < 2 or values.dtype.kind != "f":
        raise InvalidInput("not a float array (n_images, ...)", where=str(path))
    bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
    if len(bad):
        raise InvalidInput("a value is not finite", where=f"{path}, row {bad[0]}")
    return values


def _order(path: Path, n_rows: int, images: list[str]) -> NDArray[np.int64]:
    """Row of the file for every image of the store."""
    try:
        names = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError as error:
        raise MissingResource("the file of image ids is missing", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise InvalidInput("not a text file", where=str(path)) from error
    names = [name.strip() for name in names if name.strip()]
    place = {name: row for row, name in enumerate(names)}
    if len(names) != n_rows or len(place) != n_rows:
        raise InvalidInput(
            f"{len(place)} different ids on {len(names)} lines for {n_rows} rows", where=str(path)
        )
    absent = [name for name in images if name not in place]
    if absent:
        raise InvalidInput(
            f"image {absent[0]!r} of the store has no row ({len(absent)} have none)",
            where=str(path),
        )
    return np.array([place[name] for name in images], dtype=np.int64)
