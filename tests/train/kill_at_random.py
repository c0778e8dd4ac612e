"""Trains in child processes that are killed at random moments, until one finishes.

`python kill_at_random.py STORE RUN KILLS KIND OVERRIDE...` prints the number of children that were
killed before they finished; a run that finished before its kill is removed and begun again.
Children are forked before anything is opened, so that each start costs no imports.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from mindeye_cli.core import checkpoint
from mindeye_cli.train.networks import train_high_level
from mindeye_cli.train.request import TrainRequest
from mindeye_cli.train.ridge import train_ridge


def train(store: Path, run: Path, kind: str, overrides: tuple[str, ...]) -> None:
    space = "array:tokens" if kind == "high-level" else "array:vector"
    request = TrainRequest(
        store=store, run=run, subjects=("s1",), space=space, preset="scene", overrides=overrides
    )
    (train_high_level if kind == "high-level" else train_ridge)(request)


def child(*arguments) -> int:
    pid = os.fork()
    if pid == 0:
        train(*arguments)
        os._exit(0)
    return pid


def main(store: str, run: str, kills: str, kind: str, *overrides: str) -> None:
    random.seed(int(kills))
    begun = time.monotonic()
    probe = Path(run).with_name("probe")
    assert os.waitpid(child(Path(store), probe, kind, overrides), 0)[1] == 0
    whole = time.monotonic() - begun
    killed = 0
    for _ in range(5 * int(kills)):
        pid = child(Path(store), Path(run), kind, overrides)
        time.sleep(random.uniform(0.0, whole))
        os.kill(pid, signal.SIGKILL)
        if os.waitpid(pid, 0)[1] == 0:
            shutil.rmtree(run)
            continue
        killed += 1
        checkpoint.latest(Path(run))  # What LATEST names is always whole.
        if killed == int(kills):
            break
    assert os.waitpid(child(Path(store), Path(run), kind, overrides), 0)[1] == 0
    sys.stdout.write(f"{killed}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
