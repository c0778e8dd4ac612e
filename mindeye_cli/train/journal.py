"""The run's log: JSON lines always, and the trackers that the configuration names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mindeye_cli.core.runs import append_log, trim_log
from mindeye_cli.train.trackers import Trackers


class Journal:
    """Writes what a run reports of itself, on the main process alone.

    Parameters
    ----------
    run : Path
    step : int
        Step that the run continues from; later lines of an earlier process are dropped.
    trackers : sequence of str or None
        Names of trackers; None on the other processes, which write nothing.
    """

    def __init__(self, run: Path, step: int, trackers: Sequence[str] | None) -> None:
        self._run = run
        self._trackers = None if trackers is None else Trackers(trackers, run)
        if self._trackers is not None:
            trim_log(run, step)

    def write(self, step: int, epoch: int, values: Mapping[str, Any]) -> None:
        """Log one line."""
        if self._trackers is not None:
            append_log(self._run, step=step, epoch=epoch, **values)
            self._trackers.log(step, values)

    def close(self) -> None:
        """Finish the trackers' files."""
        if self._trackers is not None:
            self._trackers.close()
