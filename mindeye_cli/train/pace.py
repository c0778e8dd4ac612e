"""How often a run is saved: as often as asked for, while saving takes a small share of the time.

A checkpoint of the published sizes is 12 GB, and an epoch on a fast GPU is shorter than writing it
would be. When a run is saved changes nothing about its weights.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

SHARE = 0.05  # of the time, at most, for saves
SHORT = 2.0  # seconds; saves that take less are never held back


class Pace:
    """Remembers when a run was last saved, and how long that took."""

    def __init__(self) -> None:
        self._ended = time.monotonic()
        self._took = 0.0

    def ready(self) -> bool:
        """Whether a save now would keep to the share."""
        worked = time.monotonic() - self._ended
        return self._took < SHORT or worked >= self._took * (1 / SHARE - 1)

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Measure the save that is written in this block."""
        started = time.monotonic()
        yield
        self._ended = time.monotonic()
        self._took = self._ended - started
