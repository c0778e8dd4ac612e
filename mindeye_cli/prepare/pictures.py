"""What a layout must say of its pictures so that they can go into the store."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.signals import StopFlag
from mindeye_store import Store


class Pictures(Protocol):
    """Pictures of a data set by position."""

    @property
    def ids(self) -> list[str]:
        """Name of every picture."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""

    @property
    def captions(self) -> list[str] | None:
        """One text per picture, when there are any."""

    @property
    def records(self) -> list[dict[str, Any]] | None:
        """One JSON-able record per picture, when there are any."""

    def read(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Pixels, uint8 (k, H, W, 3)."""


def add_pictures(
    store: Store, pictures: Pictures, plan: dict[str, Any], stop: StopFlag | None = None
) -> NDArray[np.int64]:
    """Add the pictures that the store lacks.

    Returns
    -------
    int64 array (n,)
        Global image row of every picture.

    Raises
    ------
    InvalidInput
        The store has another picture under one of the names, or pictures of another size.
    Requeue
        A stop signal came; the same plan goes on after the last whole shard.
    """

    def read(positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        if stop is not None:
            stop.raise_requeue(str(store.path))
        return pictures.read(positions)

    rows = store.add_images(
        pictures.ids,
        read,
        (*pictures.size, 3),
        captions=pictures.captions,
        records=pictures.records,
        plan=plan,
    )
    return np.asarray(rows, dtype=np.int64)
