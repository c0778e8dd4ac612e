"""Several processes, and processes that are killed: the same pictures, nothing done twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reconstruct.study import Study, build

KILLER = Path(__file__).with_name("kill_often.py")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return build(tmp_path_factory.mktemp("study"))


def arguments(study: Study, out: Path) -> list[str]:
    both = ("--high", study.high, "--low", study.low, "--weights", study.generator)
    few = ("--candidates", 2, "--steps", 2, "--keep-candidates", "--set", "prior.steps=5")
    return [str(word) for word in ("reconstruct", study.store, out, *both, *few)]


def started(words: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="module")
def whole(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In batches of two items, without an interruption."""
    from mindeye_cli.app import main

    out = tmp_path_factory.mktemp("whole") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mindeye_cli.reconstruct.setting.pictures_a_batch", lambda files: 4)
        assert main([*arguments(study, out), "--quiet"]) == 0
    return out


def pictures(folder: Path) -> dict[str, bytes]:
    kept = [*folder.rglob("*.png"), *folder.rglob("*.safetensors")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept}


def test_killed_at_any_moment(study: Study, whole: Path, tmp_path: Path) -> None:
    """SIGKILL at random moments: the same bytes, and no file made by two processes."""
    out, job = tmp_path / "out", tmp_path / "job.json"
    assert json.loads((whole / "plan.json").read_text())["batch_items"] == 2
    given = {"arguments": arguments(study, out), "out": str(out), "seed": 0}
    job.write_text(json.dumps({**given, "longest": 1.5, "kills": 10}))
    done = started([str(KILLER), str(job)])
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["code"] == 0 and found["kills"] >= 3
    twice = {name for name, times in Counter(found["written"]).items() if times > 1}
    # A batch whose choice was cut short writes its few pictures again, from what had been drawn.
    assert not {name for name in twice if name.startswith(("stages", "blurry"))}
    assert pictures(out) == pictures(whole)
    left = {path.name for path in out.iterdir()}
    assert left == {path.name for path in whole.iterdir()}


def test_the_processes_of_a_launcher_share_the_work(
    study: Study, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = started([*launcher, "-m", "mindeye_cli", "--json", *arguments(study, out)])
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["status"], result["complete"], result["n"]) == ("ok", True, 5)
    assert json.loads((out / "plan.json").read_text())["batch_items"] == 3
    assert {path.name for path in out.iterdir()} == {path.name for path in whole.iterdir()}
    for file in sorted((whole / "images").iterdir()):
        ours, theirs = (
            np.asarray(Image.open(folder / "images" / file.name), dtype=int)
            for folder in (out, whole)
        )
        assert np.abs(ours - theirs).max() <= 1


def test_all_processes_stop_when_one_is_asked_to(study: Study, tmp_path: Path) -> None:
    """None hangs, and none removes what the others have kept."""
    out, codes = tmp_path / "out", tmp_path / "codes"
    codes.mkdir()
    script = Path(__file__).with_name("stopped_rank.py")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = started([*launcher, str(script), str(codes), *arguments(study, out)])
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_text() for path in codes.iterdir()} == {"0": "75", "1": "75"}
    assert not (out / "manifest.json").exists()
    kept = {path.name for path in (out / "stages").iterdir()}
    assert "drawn-00001.safetensors" in kept and (out / "batches/00000.json").exists()
