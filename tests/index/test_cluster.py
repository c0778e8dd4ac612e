"""Dask workers on loopback: the same ids as in one process, also when one worker is lost."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import index_helpers as made
import numpy as np
import pytest

pytest.importorskip("distributed")
ROOT = Path(__file__).resolve().parents[2]
SIZES, DIM = (900,) * 6, 48


class Cluster:
    """A scheduler and two workers as processes of their own."""

    def __init__(self, folder: Path) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self.folder = folder
        paths = [str(ROOT), str(ROOT / "store")]
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")]),
            "OMP_NUM_THREADS": "1",
            "MINDEYE_THREADS": "1",
        }
        log = self._start("scheduler", "--port", "0", "--no-dashboard")
        self.address = self._wait(log, r"Scheduler at:\s+(tcp://\S+)")
        self.logs = [self._worker() for _ in range(2)]
        for log in self.logs:
            self._wait(log, r"Registered to:\s+(tcp://\S+)")

    def _worker(self) -> Path:
        return self._start(
            "worker", self.address, "--nthreads", "1", "--no-dashboard", "--no-nanny"
        )

    def _start(self, *words: str) -> Path:
        log = self.folder / f"{len(self.processes)}.log"
        with log.open("wb") as stream:
            command = [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]]
            command += ["--host", "127.0.0.1"]
            self.processes.append(
                subprocess.Popen(
                    command, stdout=stream, stderr=stream, env=self.environment, cwd=self.folder
                )
            )
        return log

    def _wait(self, log: Path, pattern: str) -> str:
        for _ in range(600):
            match = re.search(pattern, log.read_text())
            if match:
                return match[1]
            time.sleep(0.1)
        raise AssertionError(log.read_text())

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    (tmp_path / "dask").mkdir()
    started = Cluster(tmp_path / "dask")
    yield started
    started.close()


def test_two_workers_answer_as_one_process(cluster: Cluster, tmp_path: Path, call_cli: Any) -> None:
    rows = made.write_shards(tmp_path / "s", SIZES, DIM)
    options = ("--kind", "ivf", "--lists", "32")
    alone = call_cli("retrieve", "index", tmp_path / "s", tmp_path / "alone", *options)
    assert alone.code == 0, alone.stderr
    shared = ("--centroids", tmp_path / "alone", "--scheduler", cluster.address)
    both = call_cli("retrieve", "index", tmp_path / "s", tmp_path / "both", *options, *shared)
    assert both.code == 0, both.stderr
    for part in (tmp_path / "alone" / "parts").iterdir():
        theirs = tmp_path / "both" / "parts" / part.name / "lists.faiss"
        assert (part / "lists.faiss").read_bytes() == theirs.read_bytes()
    np.save(tmp_path / "q.npy", made.near(rows, 20))
    for exact in ((), ("--exact",)):
        ask = ("retrieve", "search", tmp_path / "both", "--queries", tmp_path / "q.npy", *exact)
        here, there = call_cli(*ask), call_cli(*ask, "--scheduler", cluster.address)
        assert there.code == 0, there.stderr
        assert here.stdout == there.stdout and len(here.lines) == 20

    victim = cluster.processes[1]
    index = tmp_path / "third"

    def kill() -> None:
        while not list((index / "parts").glob("img_emb_????")):
            time.sleep(0.005)
        victim.send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    third = call_cli("retrieve", "index", tmp_path / "s", index, *options, *shared)
    killer.join(timeout=10)
    victim.wait(timeout=10)
    assert third.code == 0, third.stderr
    ask = ("retrieve", "search", index, "--queries", tmp_path / "q.npy")
    lost = call_cli(*ask, "--scheduler", cluster.address)
    assert lost.code == 0 and lost.lines == call_cli(*ask).lines
