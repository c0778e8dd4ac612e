"""Writers that share one bundle by part, and writers that may not."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.context import ForkServerContext
from pathlib import Path

import numpy as np
import pytest

from mindeye_store import InvalidInput, Store, StoreLocked, UsageProblem, open_store, verify_store
from mindeye_store.files import write_json
from mindeye_store.lock import Lock, held_locks
from mindeye_store.owner import state_of, this_process

BUNDLE = "subjects/one"
VALUES = np.random.default_rng(1).standard_normal((50, 300)).astype(np.float16)


def write_part(folder: str, index: int, count: int, pause: float = 0.0) -> None:
    store = open_store(folder)
    with store.write_bundle(BUNDLE, plan={"a": 1}, part=(index, count)) as writer:
        array = writer.array("voxels", shape=VALUES.shape, dtype="float16", shard_rows=4)
        for shard, rows in array.pending():
            time.sleep(pause)
            array.write(shard, VALUES[rows])
        writer.array("session", shape=(50,), dtype="int16").write_all(np.arange(50))
        writer.publish()


def hold(folder: str, index: int, count: int) -> None:
    with open_store(folder).write_bundle(BUNDLE, plan={"a": 1}, part=(index, count)):
        time.sleep(60)


def until_held(store: Store, name: str) -> None:
    folder = next(store.path.glob("_locks"))
    end = time.monotonic() + 60
    while not any(name in held_locks(p) for p in folder.iterdir()):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_three_writers_at_once_equal_one(
    store: Store,
    tmp_path: Path,
    processes: ForkServerContext,
    stored_bytes: Callable[[Path], dict[str, bytes]],
) -> None:
    children = [
        processes.Process(target=write_part, args=(str(store.path), index, 3)) for index in range(3)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert verify_store(store.path) == []
    np.testing.assert_array_equal(store.subject("one").voxels.read(np.arange(50)), VALUES)
    alone = tmp_path / "alone"
    from mindeye_store import create_store

    write_part(str(create_store(alone).path), 0, 1)
    assert stored_bytes(store.path / BUNDLE) == stored_bytes(alone / BUNDLE)
    assert store.fingerprint(BUNDLE) == open_store(alone).fingerprint(BUNDLE)


def test_the_last_part_publishes(store: Store) -> None:
    write_part(str(store.path), 1, 2)
    assert store.subjects == [] and store.info()["staged"] == [BUNDLE]
    write_part(str(store.path), 0, 2)
    assert store.subjects == ["one"] and store.info()["staged"] == []
    write_part(str(store.path), 1, 2)


def test_a_part_writes_its_own_shards_only(store: Store) -> None:
    with store.write_bundle(BUNDLE, plan={}, part=(1, 3)) as writer:
        array = writer.array("voxels", shape=(10, 2), dtype="float32", shard_rows=1)
        assert [shard for shard, _ in array.pending()] == [1, 4, 7]
        for shard in (0, 2, 10):
            with pytest.raises(IndexError):
                array.write(shard, np.zeros((1, 2)))
    with (
        pytest.raises(UsageProblem, match="3/3"),
        store.write_bundle(BUNDLE, plan={}, part=(3, 3)),
    ):
        pass


def test_a_living_writer_is_not_disturbed(store: Store, processes: ForkServerContext) -> None:
    child = processes.Process(target=hold, args=(str(store.path), 0, 2))
    child.start()
    try:
        until_held(store, "0-of-2")
        for part, plan in (((0, 2), 1), ((0, 1), 1), ((1, 3), 1), ((1, 2), 2)):
            with (
                pytest.raises(
                    StoreLocked, match=f"process {child.pid} on .*sign of life"
                ) as caught,
                store.write_bundle(BUNDLE, plan={"a": plan}, part=part),
            ):
                pass
            assert f"end process {child.pid}" in str(caught.value.fix)
        with pytest.raises(StoreLocked):
            store.remove(BUNDLE)
        with store.write_bundle(BUNDLE, plan={"a": 1}, part=(1, 2)) as writer:
            assert not writer.done
        assert {lock["state"] for lock in store.info()["locks"]} == {"alive"}
    finally:
        child.kill()
        child.join()
    with store.write_bundle(BUNDLE, plan={"a": 2}) as writer:
        assert not writer.done


def test_a_dead_writer_is_taken_over_and_named(
    store: Store, processes: ForkServerContext, caplog: pytest.LogCaptureFixture
) -> None:
    child = processes.Process(target=hold, args=(str(store.path), 0, 1))
    child.start()
    until_held(store, "0-of-1")
    child.kill()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert {lock["state"] for lock in store.info()["locks"]} == {"dead"}
    with (
        caplog.at_level(logging.WARNING, logger="mindeye"),
        store.write_bundle(BUNDLE, plan={}) as writer,
    ):
        assert not writer.done
    assert f"process {child.pid}" in caplog.text and "has ended" in caplog.text


def test_another_machine_is_reported_and_never_overruled(tmp_path: Path) -> None:
    foreign = replace(this_process("t"), host="node7", job="4711")
    assert state_of(foreign) == "unknown"
    path = tmp_path / "bundle" / "0-of-1"
    path.mkdir(parents=True)
    write_json(path / "owner.json", foreign.as_dict())
    lock = Lock(path.parent, path.name, "subjects/one")
    with pytest.raises(StoreLocked, match=r"on node7, job 4711.*remove the folder") as caught:
        lock.acquire()
    assert str(path) in str(caught.value)


def test_who_is_dead() -> None:
    here = this_process("t")
    assert state_of(here) == "alive"
    assert state_of(replace(here, started="1")) == "dead"
    assert state_of(replace(here, pid=2**22 + 1)) == "dead"
    assert state_of(replace(here, namespace="pid:[1]")) == "unknown"
    rebooted = replace(here, boot="another")
    assert state_of(rebooted) == ("dead" if here.machine else "unknown")


def test_a_lock_that_is_waited_for(tmp_path: Path) -> None:
    first, second = (Lock(tmp_path, "append", "images") for _ in range(2))
    first.acquire()
    with pytest.raises(StoreLocked):
        second.acquire(wait_s=0.1)
    first.release()
    second.acquire(wait_s=0.1)
    first.release()
    assert second.held() and not first.held()
    second.release()
    assert list(tmp_path.iterdir()) == []


def test_waiting_is_told_and_signs_of_life_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mindeye_store.lock.HEARTBEAT_S", 0.01)
    first = Lock(tmp_path, "append", "the list of images")
    first.acquire()
    os.utime(first.path / "owner.json", (0, 0))
    with caplog.at_level(logging.INFO, logger="mindeye"), pytest.raises(StoreLocked):
        Lock(tmp_path, "append", "the list of images").acquire(wait_s=0.5)
    assert caplog.text.count("waiting for the list of images: held by process") == 1
    assert (first.path / "owner.json").stat().st_mtime > 0
    first.release()


def test_old_tombstones_are_cleared(tmp_path: Path) -> None:
    for name, stamp in ((".dead-old", 0), (".dead-new", time.time())):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (stamp, stamp))
    with Lock(tmp_path, "append", "images") as lock:
        lock.acquire()
    assert [path.name for path in tmp_path.iterdir()] == [".dead-new"]


def test_a_damaged_lock_is_explained(tmp_path: Path) -> None:
    (tmp_path / "append").mkdir()
    (tmp_path / "append" / "owner.json").write_text("{")
    with pytest.raises(StoreLocked, match="damaged"):
        Lock(tmp_path, "append", "images").acquire()
    (tmp_path / "append" / "owner.json").rename(tmp_path / "append" / "other")
    with pytest.raises(StoreLocked, match="missing or damaged"):
        Lock(tmp_path, "append", "images").acquire()


def test_a_lost_lock_publishes_nothing(store: Store) -> None:
    with store.write_bundle(BUNDLE, plan={}) as writer:
        writer.array("voxels", shape=(4, 2), dtype="float32").write_all(np.zeros((4, 2)))
        (owner,) = store.path.glob("_locks/*/0-of-1/owner.json")
        owner.unlink()
        with pytest.raises(StoreLocked, match="lost"):
            writer.publish()
    assert store.subjects == []


def test_staged_arrays_keep_their_description(store: Store) -> None:
    for rows in (4, 5):
        with store.write_bundle(BUNDLE, plan={}) as writer:
            if rows == 4:
                writer.array("voxels", shape=(4, 2), dtype="float32")
                continue
            with pytest.raises(InvalidInput, match="differs"):
                writer.array("voxels", shape=(5, 2), dtype="float32")
    with store.write_bundle(BUNDLE, plan={}) as writer:
        writer.array("voxels", shape=(4, 2), dtype="float32").write_all(np.zeros((4, 2)))
    with store.write_bundle(BUNDLE, plan={}) as writer:
        writer.array("other", shape=(4, 2), dtype="float32").write_all(np.zeros((4, 2)))
        with pytest.raises(InvalidInput, match="not declared"):
            writer.publish()
    store.remove(BUNDLE)
    assert store.info()["staged"] == []


@pytest.mark.parametrize("mask", [0o002, 0o077])
def test_umask_is_respected(tmp_path: Path, mask: int) -> None:
    from mindeye_store import create_store

    old = os.umask(mask)
    try:
        store = create_store(tmp_path / "s")
        write_part(str(store.path), 0, 1)
    finally:
        os.umask(old)
    for path in [store.path, *store.path.rglob("*")]:
        wanted = (0o777 if path.is_dir() else 0o666) & ~mask
        assert path.stat().st_mode & 0o777 == wanted, path
