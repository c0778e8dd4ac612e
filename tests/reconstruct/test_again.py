"""A folder that is there already: replayed, resumed, replaced."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reconstruct.study import Study, arguments, build

from mindeye_cli.models.decoders.stable_diffusion import StableDiffusionDecoder
from mindeye_cli.models.run_model import RunModel
from mindeye_cli.reconstruct import stage_files
from mindeye_cli.reconstruct.rounding import Rounding


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return build(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def recorded(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reconstruction in batches of two items."""
    from mindeye_cli.app import main

    out = tmp_path_factory.mktemp("recorded") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mindeye_cli.reconstruct.setting.pictures_a_batch", lambda files: 4)
        assert main([str(word) for word in arguments(study, out)]) == 0
    return out


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_replay_never_touches_what_it_repeats(
    study: Study, recorded: Path, tmp_path: Path, call_cli: Any
) -> None:
    """Neither into the recorded folder nor, when the record is refused, over another one."""
    out, other = tmp_path / "out", tmp_path / "other"
    shutil.copytree(recorded, out)
    shutil.copytree(recorded, other)
    base = ("reconstruct", study.store, "--json", "--overwrite", "--replay")
    for folder in (out, tmp_path / "." / "out" / "..", out / "images" / ".."):
        result = call_cli(*base, out / "manifest.json", folder)
        assert (result.code, result.json["error"]["where"]) == (2, "--replay")
    assert call_cli("reconstruct", study.store, out, "--replay", out / "manifest.json").code == 2
    record = json.loads((recorded / "manifest.json").read_text())
    record["images"][0]["seeds"][0] += 1
    (tmp_path / "changed.json").write_text(json.dumps(record))
    assert call_cli(*base, tmp_path / "changed.json", other).code == 3
    assert contents(out) == contents(other) == contents(recorded)


@pytest.mark.parametrize("method", ["sample_prior", "generate"])
def test_asked_to_stop_it_ends_after_the_batch_at_work(
    study: Study,
    recorded: Path,
    tmp_path: Path,
    call_cli: Any,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    owner: Any = RunModel if method == "sample_prior" else StableDiffusionDecoder
    plain, calls = getattr(owner, method), []

    def asked(self: Any, *given: Any) -> Any:
        calls.append(method)
        if len(calls) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(self, *given)

    monkeypatch.setattr(owner, method, asked)
    monkeypatch.setattr("mindeye_cli.reconstruct.setting.pictures_a_batch", lambda files: 4)
    words = arguments(study, tmp_path / "out")
    result = call_cli(*words)
    assert (result.code, len(calls)) == (75, 1)
    assert result.json["error"]["where"] == str(tmp_path / "out")
    assert call_cli(*words).code == 0 and len(calls) == 3
    name = "images.safetensors"
    assert (tmp_path / "out" / name).read_bytes() == (recorded / name).read_bytes()


@pytest.mark.parametrize("stage", ["semantic", "latent", "drawn"])
def test_a_stage_that_was_cut_short_is_done_again(
    study: Study, recorded: Path, tmp_path: Path, call_cli: Any, stage: str
) -> None:
    """As a power cut leaves it on some file systems: the name is there, the bytes are not."""
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mindeye_cli.reconstruct.setting.pictures_a_batch", lambda files: 4)
        patch.setattr("mindeye_cli.reconstruct.pick.record", lambda *_: 1 / 0)
        assert call_cli(*arguments(study, out)).code == 1
    files = [out / "stages" / f"{stage}-{number:05d}.safetensors" for number in range(3)]
    files[0].write_bytes(b"")
    files[1].write_bytes(files[1].read_bytes()[:-9])
    result = call_cli(*arguments(study, out))
    assert result.code == 0 and result.stderr.count("is damaged and made again") >= 2
    name = "images.safetensors"
    assert (out / name).read_bytes() == (recorded / name).read_bytes()


def test_of_what_was_drawn_only_the_verdict_is_read(tmp_path: Path) -> None:
    file = stage_files.stage_file(tmp_path, "drawn", 0)
    arrays = {"pictures": np.zeros((2, 2**22), np.uint8), "fine": np.array([True, False])}
    stage_files.write_batch(file, arrays)
    tracemalloc.start()
    assert stage_files.is_kept(file)
    assert stage_files.read_one(file, "fine").tolist() == [True, False]
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    assert not list(file.parent.glob("*tmp*")) and not list(file.parent.glob("*partial*"))


def test_what_was_removed_is_made_again(
    study: Study, tmp_path: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch of a removed picture alone; for a summary, none."""
    out = tmp_path / "out"
    words = arguments(study, out, "--keep-candidates")
    with monkeypatch.context() as patch:
        patch.setattr("mindeye_cli.reconstruct.setting.pictures_a_batch", lambda files: 4)
        assert call_cli(*words).code == 0
    whole, drawn, plain = contents(out), [], StableDiffusionDecoder.generate

    def generate(self: Any, *given: Any) -> Any:
        drawn.append(len(given[0]))
        return plain(self, *given)

    monkeypatch.setattr(StableDiffusionDecoder, "generate", generate)
    removed = {
        "images/img002.png": [4],
        "blurry/img004.png": [2],
        "candidates/img000/01.png": [4],
        "grid.png": [],
        "images.safetensors": [],
    }
    for name, pictures in removed.items():
        (out / name).unlink()
        drawn.clear()
        result = call_cli(*words)
        assert (result.code, result.json["n"], drawn) == (0, 5, pictures), name
        now = contents(out)
        assert {key for key in whole if now.get(key) != whole[key]} <= {"manifest.json"}
        assert now.keys() == whole.keys()
    assert call_cli(*words).json["status"] == "notneeded" and drawn == []


@pytest.fixture
def seen_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Threads with which the generator draws, call by call; torch starts with two."""
    plain, seen, before = StableDiffusionDecoder.generate, [], torch.get_num_threads()

    def generate(self: Any, *given: Any) -> Any:
        seen.append(torch.get_num_threads())
        return plain(self, *given)

    monkeypatch.setattr(StableDiffusionDecoder, "generate", generate)
    torch.set_num_threads(before + 1)
    yield seen
    torch.set_num_threads(before)


def test_as_many_threads_as_were_recorded(
    study: Study, recorded: Path, tmp_path: Path, call_cli: Any, seen_threads: list[int]
) -> None:
    """By a replay and by a resume; who sets another number is told so."""
    count = json.loads((recorded / "plan.json").read_text())["threads"]
    base = ("reconstruct", study.store, "--json", "--replay", recorded / "manifest.json")
    result = call_cli(*base, tmp_path / "out")
    assert result.json["replay"]["environment"] == [] and set(seen_threads) == {count}
    assert result.json["replay"]["identical"] == 5
    seen_threads.clear()
    shutil.copytree(recorded, tmp_path / "resumed")
    (tmp_path / "resumed" / "images" / "img000.png").unlink()
    assert call_cli(*arguments(study, tmp_path / "resumed")).code == 0
    assert seen_threads == [count] and torch.get_num_threads() == count + 1


def test_other_threads_and_devices_are_told(
    study: Study, recorded: Path, tmp_path: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = json.loads((recorded / "manifest.json").read_text())
    assert record["device"] == record["environment"]["device"] == "cpu"
    monkeypatch.setenv("MINDEYE_THREADS", str(record["threads"] + 1))
    record["environment"]["device"] = "cuda"
    (tmp_path / "manifest.json").write_text(json.dumps(record))
    (tmp_path / "images").symlink_to(recorded / "images")
    base = ("reconstruct", study.store, "--json", "--replay", tmp_path / "manifest.json")
    found = call_cli(*base, tmp_path / "out").json["replay"]
    assert found["environment"] == ["device", "threads"] and found["grey_levels"] <= 1
    assert Rounding(1, 1, threads=3, device="cuda").threads_here is None
