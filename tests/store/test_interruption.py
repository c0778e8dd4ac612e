"""kill -9 at every step and at random moments: nothing lost, nothing partial seen."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mindeye_store import create_store, open_store, verify_store

BUNDLE = "subjects/one"
SHAPE = (23, 300)
CHANGES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir")


def content() -> np.ndarray:
    return np.random.default_rng(5).standard_normal(SHAPE).astype(np.float32)


def write(folder: str, pause: float = 0.0) -> None:
    values = content()
    store = create_store(folder)
    with store.write_bundle(BUNDLE, plan={"seed": 5}) as writer:
        array = writer.array("voxels", shape=SHAPE, dtype="float32", shard_rows=6)
        for shard, rows in array.pending():
            time.sleep(pause)
            array.write(shard, values[rows])
        writer.text("label", [f"trial {i} é" for i in range(23)])
        writer.publish()


class Changes:
    """Counts what this process changes in a folder, and may end it before the n-th change."""

    def __init__(self, folder: str, die_at: int = 0) -> None:
        self.folder, self.die_at, self.seen, self.active = folder, die_at, 0, True
        sys.addaudithook(self.note)

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active:
            return
        changes = event in CHANGES or (event == "open" and "w" in str(arguments[1] or ""))
        if changes and self.folder in str(arguments[0]):
            self.seen += 1
            if self.seen == self.die_at:
                os.kill(os.getpid(), signal.SIGKILL)


def write_and_die(folder: str, die_at: int) -> None:
    Changes(folder, die_at)
    write(folder)


def test_killed_before_any_change_and_resumed(
    tmp_path: Path,
    processes: ForkServerContext,
    stored_bytes: Callable[[Path], dict[str, bytes]],
) -> None:
    changes = Changes(str(tmp_path / "whole"))
    write(str(tmp_path / "whole"))
    changes.active = False
    wanted = stored_bytes(tmp_path / "whole" / BUNDLE)
    # A spread over the whole run, and every one of the last changes, which publish. Their number
    # varies by a few: zarr makes an array's folders from several threads.
    total, killed = changes.seen, 0
    for die_at in sorted({*range(1, total, total // 6), *range(total - 5, total - 1)}):
        folder = tmp_path / f"store-{die_at}"
        first = processes.Process(target=write_and_die, args=(str(folder), die_at))
        first.start()
        first.join()
        killed += first.exitcode == -signal.SIGKILL
        if (folder / "zarr.json").exists():
            seen = open_store(folder, reader="zarr")
            assert seen.subjects in ([], ["one"])
            if seen.subjects:
                found = seen.subject("one").voxels.read(np.arange(23))
                np.testing.assert_array_equal(found, content())
        write(str(folder))
        assert stored_bytes(folder / BUNDLE) == wanted, f"killed before change {die_at} of {total}"
    assert killed >= 7
    assert verify_store(folder) == []


def test_random_kills_beside_a_reader(
    tmp_path: Path,
    processes: ForkServerContext,
    stored_bytes: Callable[[Path], dict[str, bytes]],
) -> None:
    write(str(tmp_path / "whole"))
    folder, draw = tmp_path / "killed", random.Random(3)
    create_store(folder)
    for kills in range(40):
        child = processes.Process(target=write, args=(str(folder), 0.02))
        child.start()
        end = time.monotonic() + draw.uniform(0.02, 0.3)
        while child.is_alive() and (kills > 12 or time.monotonic() < end):
            seen = open_store(folder, reader="zarr")
            if seen.subjects:
                values = seen.subject("one").voxels.read(np.arange(23))
                np.testing.assert_array_equal(values, content())
        child.kill()
        child.join()
        if child.exitcode == 0:
            break
    assert child.exitcode == 0
    assert stored_bytes(folder / BUNDLE) == stored_bytes(tmp_path / "whole" / BUNDLE)
    assert verify_store(folder) == []


def test_resuming_writes_only_what_is_missing(tmp_path: Path) -> None:
    store = create_store(tmp_path / "s")
    with store.write_bundle(BUNDLE, plan={"a": 1}) as writer:
        array = writer.array("voxels", shape=SHAPE, dtype="float32", shard_rows=6)
        array.write(0, content()[:6])
        array.write(2, content()[12:18])
    with store.write_bundle(BUNDLE, plan={"a": 1}) as writer:
        array = writer.array("voxels", shape=SHAPE, dtype="float32", shard_rows=6)
        assert [shard for shard, _ in array.pending()] == [1, 3]
        np.testing.assert_array_equal(next(array.pending())[1], np.arange(6, 12))
    with store.write_bundle(BUNDLE, plan={"a": 2}) as writer:
        array = writer.array("voxels", shape=SHAPE, dtype="float32", shard_rows=6)
        assert [shard for shard, _ in array.pending()] == [0, 1, 2, 3]


def test_a_shard_cut_short_after_its_entry_is_written_again(tmp_path: Path) -> None:
    store = create_store(tmp_path / "s")
    with store.write_bundle(BUNDLE, plan={}) as writer:
        writer.array("voxels", shape=SHAPE, dtype="float32", shard_rows=6).write_all(content())
    (shard,) = store.path.glob("_staging/*/bundle/voxels/c/1/0")
    os.truncate(shard, 100)
    with store.write_bundle(BUNDLE, plan={}) as writer:
        array = writer.array("voxels", shape=SHAPE, dtype="float32", shard_rows=6)
        assert [number for number, _ in array.pending()] == [1]
        array.write_all(content())
        assert writer.publish()
    assert verify_store(store.path) == []


def test_replacing_keeps_the_old_bundle_until_the_new_one_is_whole(tmp_path: Path) -> None:
    store = create_store(tmp_path / "s")
    for plan, value in ((1, 1.0), (2, 2.0)):
        with store.write_bundle(BUNDLE, plan={"a": plan}, overwrite=True) as writer:
            array = writer.array("voxels", shape=(4, 2), dtype="float32")
            if plan == 2:
                assert store.subject("one").voxels.read([0]).tolist() == [[1.0, 1.0]]
            array.write_all(np.full((4, 2), value))
            writer.publish()
    assert store.subject("one").voxels.read([0]).tolist() == [[2.0, 2.0]]
    assert not list(store.path.glob("_staging/*"))


def test_a_kill_between_the_renames_of_a_replacement_is_put_right(tmp_path: Path) -> None:
    store = create_store(tmp_path / "s")
    with store.write_bundle(BUNDLE, plan={"a": 1}) as writer:
        writer.array("voxels", shape=(4, 2), dtype="float32").write_all(np.ones((4, 2)))
        writer.publish()
    with store.write_bundle(BUNDLE, plan={"a": 2}, overwrite=True) as writer:
        staging = writer.places.staging
    (store.path / BUNDLE).rename(staging / "replaced")
    with store.write_bundle(BUNDLE, plan={"a": 2}, overwrite=True):
        assert store.subject("one").voxels.read([3]).tolist() == [[1.0, 1.0]]


def test_a_finished_plan_needs_nothing_and_another_is_refused(tmp_path: Path) -> None:
    store = create_store(tmp_path / "s")
    for _ in range(2):
        with store.write_bundle(BUNDLE, plan={"a": 1}) as writer:
            array = writer.array("voxels", shape=(4, 2), dtype="float32")
            array.write_all(np.ones((4, 2)))
            assert writer.publish()
    assert writer.done and list(array.pending()) == []
    assert store.has_plan(BUNDLE, {"a": 1}) and not store.has_plan(BUNDLE, {"a": 2})
    with (
        pytest.raises(Exception, match="another plan.*mindeye store rm"),
        store.write_bundle(BUNDLE, plan={"a": 2}),
    ):
        pass
