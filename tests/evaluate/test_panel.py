"""`mindeye evaluate --panel` from runs on a tiny store to its JSON and its tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from evaluate.folders import noisy, recon
from evaluate.test_panel_parts import two_way
from train.conftest import build_store

from mindeye_cli.app import main
from mindeye_cli.core.fingerprint import of_file
from mindeye_store import open_store

SPACE = "array:tokens"
TESTS = 16
PSNR = ("--metrics", "psnr", "--panel")
RUNS = {
    "all": (),
    "one": ("sessions=1",),
    "shuffled": ("shuffle_rows=true",),
    "held": ("hold_out=2/3",),
}


def drawn(folder: Path, store: Path, run: Path, **facts: Any) -> Path:
    """A reconstruction as if made from a run's embeddings."""
    images = open_store(store).images
    true = {images.ids[k]: images.read(np.array([k]))[0] for k in range(TESTS)}
    named = {"high": {"model_sha256": of_file(run / "model.safetensors")}}
    manifest = {"subject": "s1", "split": "test", "folders": {"high": str(run)}, "runs": named}
    return recon(folder, noisy(true, 60), store=str(store), **(manifest | facts))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    home = tmp_path_factory.mktemp("panel")
    store = build_store(home / "store.zarr", train=60, test=TESTS, sessions=4)
    for name, changes in RUNS.items():
        words = [word for change in changes for word in ("--set", change)]
        given = ["train", "ridge", str(store), str(home / name), "--subject", "s1"]
        assert main([*given, "--space", SPACE, *words, "--quiet"]) == 0
    yield SimpleNamespace(home=home, store=store, recon=drawn(home / "recon", store, home / "all"))


def test_the_panel_is_in_the_json_the_file_and_on_stderr(
    study: SimpleNamespace, call_cli: Callable
) -> None:
    more = [word for name in RUNS for word in ("--run", study.home / name)]
    command = ("evaluate", study.recon, *PSNR, *more)
    done = call_cli(*command, "--json")
    assert done.code == 0, done.stderr
    panel = done.json["panel"]
    assert panel == json.loads((study.recon / "evaluation.json").read_text())["panel"]
    parts = {"novelty", "training", "effective_rank", "single_trial", "bottleneck", "runs"}
    assert parts | {"sessions", "held_out_cluster"} <= set(panel)
    assert list(panel["skipped"]) == ["copy_rate"]  # an array has no encoder for pictures
    assert [q["images"] for q in panel["novelty"]["quartiles"]] == [4, 4, 4, 4]
    values = [q["metrics"]["psnr"]["value"] for q in panel["novelty"]["quartiles"]]
    assert np.mean(values) == pytest.approx(done.json["metrics"]["psnr"]["value"])
    assert panel["training"]["sessions"] == 4 and panel["training"]["kind"] == "ridge"
    assert call_cli(*command, "--json").json["status"] == "notneeded"
    shown = call_cli(*command).stderr
    for words in ("likeness to the nearest", "Bottleneck: ", "Cluster 2/3", "copy_rate: skipped"):
        assert words in shown, shown


def test_runs_are_scored_beside_each_other(study: SimpleNamespace, call_cli: Callable) -> None:
    more = [word for name in RUNS for word in ("--run", study.home / name)]
    done = call_cli("evaluate", study.recon, *PSNR, *more, "--json", "--overwrite")
    panel = done.json["panel"]
    rows = {Path(row["run"]).name: row for row in panel["runs"]}
    assert list(rows) == ["all", "one", "shuffled", "held"]
    assert [Path(row["run"]).name for row in panel["sessions"]] == ["one", "all"]
    assert [row["sessions"] for row in panel["sessions"]] == [1, 4]
    assert rows["one"]["images"] < rows["all"]["images"]
    assert rows["shuffled"]["shuffled"] and rows["shuffled"]["mean"]["value"] < 0.75
    assert rows["all"]["mean"]["value"] > rows["all"]["single_trial"]["value"] > 0.75
    # The same numbers from the run's own predictions and a double loop.
    store = open_store(study.store)
    true = np.asarray(store.target(SPACE).read(np.arange(TESTS)), dtype=np.float64)
    out = study.home / "held.npz"
    given = ("--store", study.store, "--split", "test", "--out", out)
    assert call_cli("predict", study.home / "held", *given).code == 0
    guess = np.load(out)["prediction"].reshape(TESTS, -1).astype(np.float64)
    flat, images = true.reshape(TESTS, -1), np.arange(TESTS)
    assert rows["held"]["mean"]["value"] == pytest.approx(two_way(guess, flat, images))
    cluster = panel["held_out_cluster"][0]
    found = {Path(row["run"]).name: row for row in cluster["rows"]}
    assert [row["seen"] for row in found.values()] == [True, True, True, False]
    inside, outside = found["held"]["inside"], found["held"]["outside"]
    assert inside["n"] == cluster["images"] and inside["n"] + outside["n"] == TESTS
    total = inside["value"] * inside["n"] + outside["value"] * outside["n"]
    assert total / TESTS == pytest.approx(rows["held"]["mean"]["value"])


def test_what_is_absent_is_said_with_the_command_that_makes_it(
    study: SimpleNamespace, call_cli: Callable
) -> None:
    alone = drawn(study.home / "alone", study.store, study.home / "all")
    panel = call_cli("evaluate", alone, *PSNR, "--json").json["panel"]
    assert "sessions=N" in panel["skipped"]["sessions"]
    assert "hold_out=1/8" in panel["skipped"]["held_out_cluster"]
    theirs = drawn(study.home / "theirs", study.store, study.home / "all")
    (theirs / "manifest.json").unlink()
    for name in [*(theirs / "images").iterdir()]:
        name.rename(name.with_name(name.name.removeprefix("pic-")))
    panel = call_cli("evaluate", theirs, "--store", study.store, *PSNR, "--json").json["panel"]
    assert "novelty" in panel and "bottleneck" not in panel
    assert "no manifest" in panel["skipped"]["bottleneck"]
    held = drawn(study.home / "of-held", study.store, study.home / "held")
    panel = call_cli("evaluate", held, *PSNR, "--json").json["panel"]
    assert set(panel["held_out_pictures"]) == {"inside", "outside"}


def test_runs_and_stores_that_do_not_fit_are_refused(
    study: SimpleNamespace, call_cli: Callable
) -> None:
    changed = drawn(
        study.home / "changed",
        study.store,
        study.home / "all",
        runs={"high": {"model_sha256": "0"}},
    )
    done = call_cli("evaluate", changed, *PSNR, "--json")
    assert "trained anew" in done.json["panel"]["skipped"]["bottleneck"]
    command = ("evaluate", study.recon, "--metrics", "psnr")
    assert call_cli(*command, "--run", study.home / "all").code == 2
    assert call_cli(*command, "--panel", "--images", study.home).code == 2
    absent = call_cli(*command, "--panel", "--run", study.home / "none", "--overwrite")
    assert absent.code == 4 and "none" in absent.stderr
    inside = drawn(study.home / "seen", study.store, study.home / "all", split="train")
    manifest = json.loads((inside / "manifest.json").read_text())
    ids = open_store(study.store).images.ids
    for k, line in enumerate(manifest["images"]):
        line["id"] = ids[TESTS + k]
    (inside / "manifest.json").write_text(json.dumps(manifest))
    done = call_cli("evaluate", inside, *PSNR, "--json")
    assert "trained-on" in [item["code"] for item in done.json["warnings"]], done.stderr
