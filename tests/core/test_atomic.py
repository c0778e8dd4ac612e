from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from mindeye_cli.core import atomic
from mindeye_store.errors import UsageProblem


def test_write_and_replace(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b.json"
    atomic.write_json(file, {"x": float("nan"), "p": Path("q")})
    assert json.loads(file.read_text()) == {"x": None, "p": "q"}
    atomic.write_text(file, "é")
    assert file.read_bytes() == "é".encode()
    assert [entry.name for entry in file.parent.iterdir()] == ["b.json"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "a"
    atomic.write_bytes(file, b"old")
    with pytest.raises(TypeError):
        atomic.write_bytes(file, "not bytes")  # type: ignore[arg-type]
    assert file.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_staged_folder_appears_whole_or_not(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with pytest.raises(RuntimeError), atomic.staged_dir(target) as staged:
        (staged / "half").write_text("x")
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with atomic.staged_dir(target) as staged:
        (staged / "sub").mkdir()
        (staged / "sub" / "file").write_text("1")
        assert not target.exists()
    assert (target / "sub" / "file").read_text() == "1"
    with pytest.raises(UsageProblem, match="--overwrite"), atomic.staged_dir(target):
        pass
    with atomic.staged_dir(target, overwrite=True) as staged:
        (staged / "new").write_text("2")
    assert [entry.name for entry in target.iterdir()] == ["new"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_existing_outputs_are_refused(tmp_path: Path) -> None:
    empty, file = tmp_path / "empty", tmp_path / "file"
    empty.mkdir()
    file.write_text("x")
    atomic.refuse_existing(tmp_path / "absent", False)
    atomic.refuse_existing(empty, False)
    atomic.refuse_existing(file, True)
    with pytest.raises(UsageProblem) as caught:
        atomic.refuse_existing(file, False)
    assert caught.value.where == str(file)


def test_staging_over_a_file(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("a file")
    with atomic.staged_dir(target, overwrite=True) as staged:
        (staged / "a").write_text("1")
    assert (target / "a").exists()


def test_leftovers_of_dead_processes_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host = atomic._host()
    dead_folder = tmp_path / f"out.tmp-{host}-{ended.pid}-abcd"
    dead_folder.mkdir()
    dead_file = tmp_path / f"out.tmp-{host}-{ended.pid}-abce"
    dead_file.write_text("x")
    alive = tmp_path / f"out.tmp-{host}-{os.getpid()}-abcf"
    other_host = tmp_path / f"out.tmp-elsewhere-{ended.pid}-abcd"
    other_name = tmp_path / f"out2.tmp-{host}-{ended.pid}-abcd"
    for file in (alive, other_host, other_name):
        file.write_text("x")
    atomic.write_text(tmp_path / "out", "1")
    left = {entry.name for entry in tmp_path.iterdir()}
    assert left == {"out", alive.name, other_host.name, other_name.name}
    atomic.remove_abandoned(tmp_path)
    assert not other_name.exists() and alive.exists()


_WRITER = """
import sys
from pathlib import Path
from mindeye_cli.core import atomic
file, folder = Path(sys.argv[1]), Path(sys.argv[2])
print("ready", flush=True)
for i in range(10**9):
    atomic.write_text(file, f"{i % 10}" * 50_000)
    with atomic.staged_dir(folder, overwrite=True) as staged:
        (staged / "a").write_text(str(i))
        (staged / "b").write_text(str(i))
"""


def test_killed_at_random_moments_every_file_is_whole(tmp_path: Path) -> None:
    draw = Random(0)
    file, folder = tmp_path / "file", tmp_path / "folder"
    for _ in range(10):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(file), str(folder)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(draw.uniform(0.005, 0.05))
            writer.send_signal(signal.SIGKILL)
        if file.exists():
            text = file.read_text()
            assert len(text) == 50_000 and len(set(text)) == 1
        if folder.exists():
            assert (folder / "a").read_text() == (folder / "b").read_text()
    atomic.write_text(file, "end")
    with atomic.staged_dir(folder, overwrite=True):
        pass
    assert {entry.name for entry in tmp_path.iterdir()} == {"file", "folder"}
