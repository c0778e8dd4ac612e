"""The command: its JSON, its refusals, repeatability, and what it never imports."""

from __future__ import annotations

import csv
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mindeye_cli.simulate.run import simulate
from mindeye_cli.simulate.settings import SimulateConfig

from .conftest import Files

TINY = ("--images", "30", "--test", "5", "--voxels", "120")


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_json_result(tmp_path: Path, call_cli: Callable) -> None:
    out = tmp_path / "nsd"
    result = call_cli("simulate", out, *TINY, "--subjects", "2,5", "--json")
    assert result.code == 0
    record = result.json
    assert record["command"] == "simulate"
    assert record["status"] == "ok"
    assert record["outputs"] == [str(out)]
    assert record["subjects"] == ["subj02", "subj05"]
    assert record["n_images"] == 5 + 2 * 30
    trials = sum(len(betas) for s in (2, 5) for betas in Files(out, s).sessions)
    assert record["n_trials"] == trials
    assert Path(record["truth"]).is_dir()


def test_again_is_not_needed_and_other_parameters_are_refused(
    tmp_path: Path, call_cli: Callable
) -> None:
    out = tmp_path / "nsd"
    assert call_cli("simulate", out, *TINY).code == 0
    before = digests(out)
    again = call_cli("simulate", out, *TINY, "--json")
    assert (again.code, again.json["status"]) == (0, "notneeded")
    other = call_cli("simulate", out, *TINY, "--seed", "1", "--json")
    assert other.code == 3
    assert "seed" in other.json["error"]["message"]
    assert "--overwrite" in other.json["error"]["fix"]
    assert digests(out) == before
    assert call_cli("simulate", out, *TINY, "--seed", "1", "--overwrite").code == 0
    assert digests(out) != before


def test_a_folder_of_something_else_is_refused(tmp_path: Path, call_cli: Callable) -> None:
    (tmp_path / "thesis.txt").write_text("keep me")
    assert call_cli("simulate", tmp_path, *TINY).code == 2
    assert call_cli("simulate", tmp_path, *TINY, "--overwrite").code == 2
    assert (tmp_path / "thesis.txt").read_text() == "keep me"


def test_a_damaged_record_is_named(tmp_path: Path, call_cli: Callable) -> None:
    assert call_cli("simulate", tmp_path / "out", *TINY).code == 0
    (tmp_path / "out" / "simulation.json").write_text("{")
    result = call_cli("simulate", tmp_path / "out", *TINY, "--json")
    assert result.code == 3
    assert result.json["error"]["where"].endswith("simulation.json")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--layout", "bids"),
        ("--subjects", "9"),
        ("--subjects", "2,1"),
        ("--subjects", "one"),
        ("--repeats", "4"),
        ("--voxels", "10"),
        ("--snr", "-1"),
        ("--near-duplicates", "6"),
        ("--seed", "-1"),
    ],
)
def test_impossible_options(tmp_path: Path, call_cli: Callable, option: str, value: str) -> None:
    result = call_cli("simulate", tmp_path / "nsd", *TINY, option, value)
    assert result.code == 2
    assert option in result.stderr
    assert not (tmp_path / "nsd").exists()


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    config = SimulateConfig(images=30, test=5, voxels=120, seed=4, subjects=(1, 2))
    simulate(tmp_path / "a", config)
    time.sleep(1.1)  # time stamps with a resolution of a second must not show
    simulate(tmp_path / "b", config)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_a_subject_does_not_depend_on_the_others(tmp_path: Path) -> None:
    alone = SimulateConfig(images=30, test=5, voxels=120, subjects=(2,))
    simulate(tmp_path / "alone", alone)
    simulate(tmp_path / "both", SimulateConfig(images=30, test=5, voxels=120, subjects=(1, 2)))
    first, second = Files(tmp_path / "alone", 2), Files(tmp_path / "both", 2)
    for left, right in zip(first.sessions, second.sessions, strict=True):
        assert np.array_equal(left, right)
    assert not np.array_equal(Files(tmp_path / "both", 1).sessions[0], second.sessions[0])


def test_arrays_hold_what_the_nsd_files_hold(tmp_path: Path, small: Path) -> None:
    config = SimulateConfig(
        layout="arrays", subjects=(1, 3), images=60, test=12, voxels=300, near_duplicates=2, seed=5
    )
    simulate(tmp_path / "arrays", config)
    nsd, folder = Files(small, 3), tmp_path / "arrays/subj03"
    voxels = np.load(folder / "voxels.npy")
    assert voxels.dtype == np.float32
    assert np.allclose(voxels, np.concatenate(nsd.sessions), atol=1e-5)
    images = np.load(folder / "images.npy")
    with (folder / "trials.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["image", "split", "session", "run", "repeat"]
    assert len(rows) == len(voxels)
    shown = [int(row["image"]) for row in rows]
    assert max(shown) == len(images) - 1
    assert np.array_equal(np.array(shown) + 1, nsd.order)
    tested = {int(row["image"]) for row in rows if row["split"] == "test"}
    assert tested == set(range(30))
    assert {row["split"] for row in rows} == {"train", "test"}
    with (folder / "voxels.csv").open(newline="") as stream:
        table = list(csv.DictReader(stream))
    place = np.array([[int(row[axis]) for axis in "xyz"] for row in table])
    assert np.array_equal(place, np.argwhere(nsd.mask))
    names = ["", "OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces"]
    labels = nsd.roi("floc-faces")[nsd.mask]
    assert [row["floc-faces"] for row in table] == [names[label] for label in labels]


def test_one_subject_as_arrays_lies_in_the_folder_itself(
    tmp_path: Path, call_cli: Callable
) -> None:
    out = tmp_path / "mine"
    assert call_cli("simulate", out, *TINY, "--layout", "arrays", "--repeats", "1").code == 0
    header = (out / "voxels.csv").read_text().split("\n")[0]
    assert "ncsnr" not in header  # nothing is repeated
    assert (out / "voxels.npy").is_file()


def test_cooccurrence_changes_the_scenes(tmp_path: Path) -> None:
    config = {"images": 60, "test": 5, "voxels": 120}
    simulate(tmp_path / "free", SimulateConfig(**config))
    simulate(tmp_path / "bound", SimulateConfig(**config, cooccurrence=True))
    lines = [
        (tmp_path / name / "nsddata_stimuli/stimuli/nsd/scenes.jsonl").read_text()
        for name in ("free", "bound")
    ]
    assert lines[0] != lines[1]


def test_no_encoder_is_imported(tmp_path: Path) -> None:
    """The brain cannot have been made from the features that decode it."""
    code = (
        "import sys\n"
        "from mindeye_cli.app import main\n"
        f"assert main(['simulate', {str(tmp_path / 'nsd')!r}, *{list(TINY)!r}]) == 0\n"
        "banned = ('torch', 'open_clip', 'diffusers', 'transformers', 'mindeye_cli.models')\n"
        "print([name for name in sys.modules if name.startswith(banned)])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_killed_run_leaves_nothing_under_the_name(tmp_path: Path) -> None:
    out = tmp_path / "nsd"
    # Large enough that the kill comes in the middle of writing.
    arguments = ["simulate", str(out), "--images", "300", "--test", "20", "--voxels", "1500"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mindeye_cli", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(os.environ),
    )
    limit = time.monotonic() + 200
    while not list(tmp_path.glob("nsd.tmp-*/nsddata_betas")) and time.monotonic() < limit:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    simulate(out, SimulateConfig(images=30, test=5, voxels=120))
    assert [path.name for path in tmp_path.iterdir()] == ["nsd"]
