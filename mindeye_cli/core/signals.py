"""Stop requests of schedulers: SIGTERM and SIGUSR1 set a flag, and the loop stops where it can.

SLURM sends them before it takes a node away. Saving inside the handler could meet a half-done
step, so the handler only notes the request.
"""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Self

from mindeye_store.errors import Requeue

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class StopFlag:
    """Context in which a stop signal is remembered instead of ending the process.

    Use it in the main thread; Python delivers signals to no other.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in STOP_SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def is_set(self) -> bool:
        """Whether a stop was asked for."""
        return self.received is not None

    def raise_requeue(self, where: str, *, agreed: bool = False) -> None:
        """Raise `Requeue` when a stop was asked for; call it after saving.

        Parameters
        ----------
        where : str
            The run and step that were saved.
        agreed : bool
            The processes of a launch agreed to stop, though the signal may have reached another.
        """
        if agreed or self.received is not None:
            asked = self.received.name if self.received else "the signal of another process"
            raise Requeue(
                f"stopped on {asked}, all progress is saved",
                where=where,
                fix="start the same command again to go on",
            )

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
