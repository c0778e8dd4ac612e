"""Rows of an array in RAM, copied by one thread or several."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mindeye_store.backends import gather as module
from mindeye_store.backends.gather import gather


@pytest.fixture(params=[1, 2, 4])
def processors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(module, "_processors", lambda: request.param)
    return int(request.param)


@pytest.mark.parametrize("dtype", ["float16", "<f4", ">f4", "uint8", "int64", "bool"])
@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_is_fancy_indexing(processors: int, dtype: str, count: int) -> None:
    draw = np.random.default_rng(count)
    values = draw.integers(0, 2, (50, 700, 300)).astype(dtype)
    rows = draw.integers(0, 50, count)
    found = gather(values, rows)
    assert found.dtype == values.dtype and np.array_equal(found, values[rows])
    assert found.base is None and not np.shares_memory(found, values)


def test_a_batch_of_many_small_rows(processors: int) -> None:
    values = np.arange(2_000_000, dtype=np.float32)
    rows = np.random.default_rng(0).permutation(len(values))
    assert np.array_equal(gather(values, rows), rows.astype(np.float32))


def test_readers_in_several_threads_do_not_mix_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_processors", lambda: 4)
    values = np.random.default_rng(0).integers(0, 255, (64, 1_000_000), dtype=np.uint8)
    asked = [np.random.default_rng(k).choice(64, 20) for k in range(12)]
    with ThreadPoolExecutor(4) as pool:
        for rows, found in zip(asked, pool.map(lambda r: gather(values, r), asked), strict=True):
            assert np.array_equal(found, values[rows])


FORK = """
import os, warnings
import numpy as np
from mindeye_store.backends import gather as module
module._processors = lambda: 4
values = np.arange(32 * 2**20, dtype=np.uint8).reshape(32, 2**20)
rows = np.arange(31, -1, -1)
assert np.array_equal(module.gather(values, rows), values[::-1])
warnings.simplefilter("ignore")  # fork of a process with threads is what this is about
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(module.gather(values, rows), values[::-1]) else 9)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_a_forked_child_has_helpers_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", FORK], timeout=60, check=False)
    assert done.returncode == 0


ENDING = """
import threading, time
import numpy as np
from mindeye_store.backends import gather as module
module._processors = lambda: 4
values = np.arange(32 * 2**20, dtype=np.uint8).reshape(32, 2**20)
rows = np.arange(31, -1, -1)
def late():
    threading.main_thread().join()
    time.sleep(0.3)
    print(np.array_equal(module.gather(values, rows), values[::-1]))
threading.Thread(target=late).start()
"""


def test_a_thread_that_outlives_the_main_one_still_reads() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDING], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "True\n", done.stderr
