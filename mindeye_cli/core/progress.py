"""Progress on stderr: a rich bar on a terminal, else a log line every 30 seconds.

Only the main rank reports, and nothing is reported when the `mindeye` logger is quiet.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mindeye_cli.core.launch import is_main_rank

logger = logging.getLogger("mindeye")
INTERVAL = 30.0  # seconds between two lines


class Bar:
    """Count of done items; `advance` tells whoever shows it.

    Parameters
    ----------
    name, unit : str
        What is done, and what is counted.
    total : int
        Items in all.
    show : callable
        Receives the bar after each change.
    """

    def __init__(self, name: str, total: int, unit: str, show: Callable[[Bar], None]) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.done = 0
        self.note = ""
        self.started = time.monotonic()
        self._show = show

    def advance(self, n: int = 1, note: str | None = None) -> None:
        """Count `n` more items; `note` is a short state such as a loss."""
        self.done += n
        self.note = self.note if note is None else note
        self._show(self)

    def line(self) -> str:
        """One line: done of total, rate and time left."""
        seconds = max(time.monotonic() - self.started, 1e-9)
        rate = self.done / seconds
        left = (
            f"{_clock((self.total - self.done) / rate)} left" if rate > 0 else "time left unknown"
        )
        note = f", {self.note}" if self.note else ""
        return f"{self.name}: {self.done}/{self.total} {self.unit}, {rate:.3g}/s, {left}{note}"


@contextmanager
def track(name: str, total: int, *, unit: str = "items") -> Iterator[Bar]:
    """Report the progress of one loop.

    Parameters
    ----------
    name : str
        What is being done, such as "encode".
    total : int
        Number of items.
    unit : str
        What the items are.

    Yields
    ------
    Bar
        Call `bar.advance(n)` after each n items.
    """
    if not is_main_rank() or not logger.isEnabledFor(logging.INFO):
        yield Bar(name, total, unit, lambda bar: None)
    elif sys.stderr.isatty():
        with _rich_bar(name, total, unit) as bar:
            yield bar
    else:
        bar = Bar(name, total, unit, _every(INTERVAL))
        yield bar
        logger.info("%s: %d %s in %s", name, bar.done, unit, _clock(time.monotonic() - bar.started))


@contextmanager
def _rich_bar(name: str, total: int, unit: str) -> Iterator[Bar]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=total, note="")
        yield Bar(
            name, total, unit, lambda bar: progress.update(task, completed=bar.done, note=bar.note)
        )


def _every(seconds: float) -> Callable[[Bar], None]:
    last = time.monotonic()

    def show(bar: Bar) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= seconds:
            last = now
            logger.info(bar.line())

    return show


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
