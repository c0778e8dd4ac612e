"""Several writers beside several readers, with kill -9 at random: nothing lost, nothing partial.

Four rounds by default; `MINDEYE_ROUNDS=200 pytest tests/store/test_crowd.py` runs two hundred.
"""

from __future__ import annotations

import os
import random
import signal
import time
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest

from mindeye_store import Store, verify_store
from store import crowd

ROUNDS = int(os.environ.get("MINDEYE_ROUNDS", "4"))
READERS = 4


def start(context: ForkServerContext, target: object, *arguments: object) -> BaseProcess:
    child = context.Process(target=target, args=arguments)  # type: ignore[arg-type]
    child.start()
    return child


def maybe_kill(child: BaseProcess, draw: random.Random) -> bool:
    """End a process without warning, more often than not."""
    if draw.random() < 0.6 and child.is_alive():
        child.kill()
        child.join()
    return child.exitcode == -signal.SIGKILL


@pytest.mark.timeout(7200)
def test_nothing_is_lost_and_nothing_partial_is_seen(
    store: Store, tmp_path: Path, processes: ForkServerContext
) -> None:
    folder, done, draw = str(store.path), tmp_path / "done", random.Random(11)
    readers = [start(processes, crowd.read, folder, str(done)) for _ in range(READERS)]
    killed = 0
    for number in range(ROUNDS):
        writers = [
            start(processes, crowd.write, folder, number, part) for part in range(crowd.PARTS)
        ]
        time.sleep(draw.uniform(0, 0.25))
        for part in draw.sample(range(crowd.PARTS), 2):
            killed += maybe_kill(writers[part], draw)
        place = draw.randrange(READERS)
        if maybe_kill(readers[place], draw):
            killed += 1
            readers[place] = start(processes, crowd.read, folder, str(done))
        for part, writer in enumerate(writers):
            writer.join()
            if writer.exitcode == -signal.SIGKILL:
                again = start(processes, crowd.write, folder, number, part)
                again.join()
                assert again.exitcode == 0
            else:
                assert writer.exitcode == 0
        assert all(reader.is_alive() for reader in readers)
    done.touch()
    for reader in readers:
        reader.join()
        assert reader.exitcode == 0
    assert killed >= ROUNDS // 2
    assert_everything_is_there(store)


def assert_everything_is_there(store: Store) -> None:
    assert store.subjects == sorted(f"round-{number}" for number in range(ROUNDS))
    for name in store.subjects:
        found = store.subject(name).voxels.read(np.arange(crowd.SHAPE[0]))
        np.testing.assert_array_equal(found, crowd.responses(name))
    wanted = {
        name
        for number in range(ROUNDS)
        for part in range(crowd.PARTS)
        for name in crowd.own_images(number, part)
    }
    images = store.images
    assert set(images.ids) == wanted
    assert images.n == len(wanted)
    stored = images.read(np.arange(images.n))
    assert all(
        np.array_equal(pixels, crowd.picture(name))
        for name, pixels in zip(images.ids, stored, strict=True)
    )
    assert verify_store(store.path) == []
