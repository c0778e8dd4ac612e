"""What each stage costs: seconds, CPU-seconds, peak memory; and that it leaves none behind."""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

_RESET, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


class Costs:
    """Costs of the stages of one process, by name.

    Attributes
    ----------
    stages : dict
        Of `seconds`, `cpu_seconds` and `peak_bytes` (of the accelerator, else of this process; None
        where the system does not tell the peak of a part of a process).
    """

    def __init__(self) -> None:
        self.stages: dict[str, dict[str, Any]] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a block, and free what it loaded before the next one begins."""
        measurable = _reset_peak()
        started, busy = time.monotonic(), _cpu_seconds()
        try:
            yield
        finally:
            self.stages[name] = {
                "seconds": time.monotonic() - started,
                "cpu_seconds": _cpu_seconds() - busy,
                "peak_bytes": _peak_bytes() if measurable else None,
            }
            _release()


def _release() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _reset_peak() -> bool:
    """Forget the peak so far; False where the system cannot."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return True
    try:
        _RESET.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _peak_bytes() -> int | None:
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(found[0]) * 1024 if found else None
