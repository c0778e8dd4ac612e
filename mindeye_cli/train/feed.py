"""Batches of every step, drawn one step ahead where drawing them would keep the device waiting.

A batch is a function of the seed and the step alone, so it may be drawn early, by any thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Drawn = TypeVar("Drawn")


class Feed:
    """What each step takes in, and how long the steps waited for it.

    Parameters
    ----------
    ahead : bool
        Draw the next step's batch in a thread while this one computes. For data that already lie
        on the computing device a thread would only compete with it.

    Attributes
    ----------
    waited : float
        Seconds that steps spent waiting so far.
    """

    def __init__(self, ahead: bool) -> None:
        self.ahead = ahead
        self.waited = 0.0

    def each(self, draws: Iterator[Callable[[], Drawn]]) -> Iterator[Drawn]:
        """Results of `draws` in their order."""
        if not self.ahead:
            for draw in draws:
                yield self._timed(draw)
            return
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="feed") as pool:
            first = next(draws, None)
            coming = None if first is None else pool.submit(first)
            while coming is not None:
                found = self._timed(coming.result)
                after = next(draws, None)
                coming = None if after is None else pool.submit(after)
                yield found

    def _timed(self, get: Callable[[], Drawn]) -> Drawn:
        started = time.perf_counter()
        found = get()
        self.waited += time.perf_counter() - started
        return found
