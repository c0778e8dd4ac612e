"""Runs stages as subprocesses of the public command line, as many at once as there are cores.

A stage's CPU seconds are the operating system's own account of it; its memory is its largest
resident set, looked at ten times a second.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindeye_cli.core.signals import StopFlag
from mindeye_cli.demo.stages import Stage
from mindeye_store.errors import (
    InvalidInput,
    MindeyeError,
    MissingResource,
    PartialResult,
    Requeue,
    StoreLocked,
)

logger = logging.getLogger("mindeye")

POLL_SECONDS = 0.1
HEARTBEAT_SECONDS = 10.0
KIB_PER_GB = 1e9 / 1024
# A stage's exit code becomes the demo's own.
FAILURES: dict[int, type[MindeyeError]] = {
    3: InvalidInput,
    4: MissingResource,
    5: PartialResult,
    6: StoreLocked,
    75: Requeue,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One finished stage: its JSON result and what it cost."""

    name: str
    result: dict[str, Any]
    seconds: float
    cpu_seconds: float
    peak_gb: float


@dataclass(slots=True)
class _Running:
    stage: Stage
    process: subprocess.Popen[bytes]
    started: float
    peak_gb: float = 0.0


class Runner:
    """Runs a graph of stages.

    Parameters
    ----------
    logs : Path
        Each stage's `NAME.json` (stdout) and `NAME.log` (stderr) are kept here.
    cores : int
        Threads that may run at once.
    """

    def __init__(self, logs: Path, cores: int) -> None:
        self.logs = logs
        self.cores = cores
        self.peak_gb = 0.0
        self._running: list[_Running] = []
        self._beat = time.monotonic()

    def run(self, stages: tuple[Stage, ...]) -> dict[str, Done]:
        """Run every stage after those it waits for.

        Returns
        -------
        dict
            Stage name to its `Done`, in the order of finishing.

        Raises
        ------
        MindeyeError
            A stage failed; the others are stopped, and what they finished is kept. The class is
            that of the stage's own exit code.
        Requeue
            A stop signal arrived.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        waiting, done = list(stages), dict[str, Done]()
        # Without the flag a SIGTERM would end this process and leave its stages running.
        with StopFlag() as stop:
            try:
                while waiting or self._running:
                    stop.raise_requeue(f"{len(done)} of {len(stages)} stages done")
                    for stage in self._ready(waiting, done):
                        waiting.remove(stage)
                        self._start(stage)
                    time.sleep(POLL_SECONDS)
                    self._watch_memory()
                    for finished in self._collect():
                        done[finished.name] = finished
                        self._say(finished, len(done), len(stages))
                    self._heartbeat()
            finally:
                self._stop_all()
        return done

    def _ready(self, waiting: list[Stage], done: dict[str, Done]) -> list[Stage]:
        free = self.cores - sum(r.stage.threads for r in self._running)
        ready = []
        for stage in waiting:
            threads = min(stage.threads, self.cores)
            if threads <= free and all(name in done for name in stage.after):
                ready.append(stage)
                free -= threads
        return ready

    def _start(self, stage: Stage) -> None:
        threads = str(min(stage.threads, self.cores))
        environment = os.environ | {
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "MINDEYE_THREADS": threads,
            "MINDEYE_OFFLINE": "1",
        }
        command = [sys.executable, "-m", "mindeye_cli", *stage.arguments, "--json"]
        with (
            self._file(stage, "json").open("wb") as out,
            self._file(stage, "log").open("wb") as log,
        ):
            process = subprocess.Popen(command, stdout=out, stderr=log, env=environment)
        self._running.append(_Running(stage, process, time.monotonic()))
        logger.info("%s: started", stage.name)

    def _collect(self) -> list[Done]:
        finished = []
        for running in list(self._running):
            pid, status, usage = os.wait4(running.process.pid, os.WNOHANG)
            if pid == 0:
                continue
            self._running.remove(running)
            running.process.returncode = os.waitstatus_to_exitcode(status)
            finished.append(
                Done(
                    name=running.stage.name,
                    result=self._result(running),
                    seconds=time.monotonic() - running.started,
                    cpu_seconds=usage.ru_utime + usage.ru_stime,
                    peak_gb=running.peak_gb,
                )
            )
        return finished

    def _result(self, running: _Running) -> dict[str, Any]:
        stage, code = running.stage, running.process.returncode
        text = self._file(stage, "json").read_text(encoding="utf-8").strip()
        if code == 0:
            loaded: dict[str, Any] = json.loads(text.splitlines()[-1])
            return loaded
        log = self._file(stage, "log")
        lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
        reason = lines[-1].removeprefix("error: ") if lines else f"exit code {code}"
        raise FAILURES.get(code, MindeyeError)(
            f"stage {stage.name} failed: {reason}", where=str(log), fix="run demo again"
        )

    def _watch_memory(self) -> None:
        # Not ru_maxrss: a child's begins with the pages of the process that started it.
        total = _resident_gb(os.getpid())
        for running in self._running:
            resident = _resident_gb(running.process.pid)
            running.peak_gb = max(running.peak_gb, resident)
            total += resident
        self.peak_gb = max(self.peak_gb, total)

    def _heartbeat(self) -> None:
        now = time.monotonic()
        if now - self._beat < HEARTBEAT_SECONDS or not self._running:
            return
        self._beat = now
        parts = [f"{r.stage.name} {now - r.started:.0f} s" for r in self._running]
        logger.info("running: %s", ", ".join(parts))

    def _say(self, done: Done, count: int, total: int) -> None:
        self._beat = time.monotonic()
        logger.info(
            "%s: done in %.1f s (%.1f CPU-s, %.2f GB) [%d/%d]",
            done.name,
            done.seconds,
            done.cpu_seconds,
            done.peak_gb,
            count,
            total,
        )

    def _stop_all(self) -> None:
        for running in self._running:
            running.process.terminate()
        for running in self._running:
            running.process.wait()
        self._running.clear()

    def _file(self, stage: Stage, suffix: str) -> Path:
        return self.logs / f"{stage.name.replace(' ', '-')}.{suffix}"


def _resident_gb(pid: int) -> float:
    """Resident memory of a process, 0 when it has just ended or the system has no /proc."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    for line in status.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / KIB_PER_GB
    return 0.0
