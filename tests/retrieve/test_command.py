"""`mindeye retrieve pool` from store and run to JSON, file and picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from retrieve.study import HOSTILE, SPACE, Study, build

from mindeye_cli.core.atomic import write_json
from mindeye_cli.core.runs import read_run
from mindeye_cli.models.run_model import load_run
from mindeye_store import open_store


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return build(tmp_path_factory.mktemp("study"))


def test_json_has_the_promised_keys_and_finds_the_images(study: Study, call_cli: Callable) -> None:
    done = call_cli("retrieve", "pool", study.store, study.run, "--json")
    assert done.code == 0, done.stderr
    result = done.json
    assert result["command"] == "retrieve pool" and result["status"] == "ok"
    assert result["n"] == 12 and result["pool"] == 12 and result["draws"] == 1
    assert "300" in result["note"] and "12" in result["note"]
    for direction in ("image_retrieval", "brain_retrieval"):
        found = result[direction]
        assert {"top1", "top5", "mean_rank", "ci95", "chance", "permuted"} <= set(found)
        assert found["top1"] > 0.8
        assert found["chance"] == pytest.approx(1 / 12)
        assert found["permuted"]["mean"] == pytest.approx(1 / 12, abs=0.02)
        low, high = found["ci95"]
        assert low <= found["top1"] <= high


def test_published_names_exchange_the_labels_and_nothing_else(
    study: Study, call_cli: Callable
) -> None:
    plain = call_cli("retrieve", "pool", study.store, study.run, "--json").json
    named = call_cli("retrieve", "pool", study.store, study.run, "--published-names", "--json").json
    labels = named.pop("published_names")
    assert named == plain
    assert labels["image_retrieval"].startswith("brain retrieval")
    assert labels["brain_retrieval"].startswith("image retrieval")
    told = call_cli("retrieve", "pool", study.store, study.run, "--published-names").stderr
    first, second = (told.index(labels[d]) for d in ("image_retrieval", "brain_retrieval"))
    assert first < second and "image_retrieval" not in told


def test_scores_equal_a_reference_from_the_raw_arrays(study: Study, call_cli: Callable) -> None:
    """Average the repeats, predict, centre on the training targets, rank: by plain numpy."""
    result = call_cli("retrieve", "pool", study.store, study.run, "--json").json
    store = open_store(study.store)
    subject, targets = store.subject("s1"), store.target(SPACE)
    voxels = subject.voxels.read(np.arange(36)).reshape(12, 3, -1).mean(axis=1)
    brain = load_run(study.run).predict(voxels)["prediction"]
    everything = targets.read(np.arange(72))
    a, b = (x - everything[12:].mean(axis=0) for x in (brain, everything[:12]))
    square = a @ b.T / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)
    own = np.diagonal(square)
    ranks = 1 + (square > own[:, None]).sum(axis=1)
    assert result["image_retrieval"]["top1"] == pytest.approx(np.mean(ranks == 1))
    assert result["image_retrieval"]["mean_rank"] == pytest.approx(ranks.mean())
    ranks = 1 + (square > own[None, :]).sum(axis=0)
    assert result["brain_retrieval"]["mean_rank"] == pytest.approx(ranks.mean())


def test_file_has_the_table_and_a_rerun_has_nothing_to_do(
    study: Study, call_cli: Callable, tmp_path: Path
) -> None:
    out, grid = tmp_path / "r.json", tmp_path / "r.png"
    command = ("retrieve", "pool", study.store, study.run, "--pool", "6", "--draws", "4")
    command = (*command, "--out", out, "--pictures", grid, "--json")
    first = call_cli(*command).json
    assert first["outputs"] == [str(out), str(grid)]
    assert first["pool"] == 6 and first["draws"] == 4 and "whole" in first
    document = json.loads(out.read_text())
    assert document["schema"] == "mindeye-retrieval" and document["schema_version"] == 1
    entry = document["images"][0]
    assert entry["id"] == HOSTILE
    assert [n["similarity"] for n in entry["neighbours"]] == sorted(
        (n["similarity"] for n in entry["neighbours"]), reverse=True
    )
    with Image.open(grid) as picture:
        assert picture.size[0] > picture.size[1] / 4 and np.asarray(picture).std() > 10
    before = out.stat().st_mtime_ns
    again = call_cli(*command).json
    assert again["status"] == "notneeded" and out.stat().st_mtime_ns == before
    assert again["image_retrieval"] == first["image_retrieval"]
    other = call_cli(*command, "--seed", "1")
    assert other.code == 2 and "--overwrite" in other.stderr
    assert call_cli(*command, "--seed", "1", "--overwrite").json["status"] == "ok"


@pytest.mark.parametrize("average", ["predictions", "none"])
def test_other_ways_to_treat_repeats(study: Study, call_cli: Callable, average: str) -> None:
    command = ("retrieve", "pool", study.store, study.run, "--average", average, "--json")
    result = call_cli(*command).json
    assert result["average"] == average
    assert result["draws"] == (30 if average == "none" else 1)
    assert result["image_retrieval"]["top1"] > 0.5


def test_linear_runs_predict_the_same_before_and_after_averaging(
    study: Study, call_cli: Callable
) -> None:
    command = ("retrieve", "pool", study.store, study.run, "--json", "--average")
    one, two = (call_cli(*command, how).json for how in ("voxels", "predictions"))
    assert one["image_retrieval"]["mean_rank"] == two["image_retrieval"]["mean_rank"]


def test_bad_input_is_one_line_with_its_code(
    study: Study, call_cli: Callable, tmp_path: Path
) -> None:
    other = tmp_path / "run"
    other.mkdir()
    info = read_run(study.run)
    cases = (
        (
            replace(info, n_voxels=(7,), details={**info.details, "masks": ["m"]}),
            3,
            "voxels here (30)",
        ),
        (replace(info, details={**info.details, "trained_images": [3, 50]}), 3, "1 images that"),
        (replace(info, kind="low-level"), 3, "low-level"),
        (replace(info, targets="other"), 3, "another encoder"),
        (replace(info, subjects=("s1", "s2"), n_voxels=(30, 9), voxels=("a", "b")), 2, "--subject"),
        (replace(info, subjects=("s2",)), 4, "s2"),
        (replace(info, space="array:none"), 4, "array:none"),
    )
    for changed, code, words in cases:
        write_json(other / "run.json", changed)
        done = call_cli("retrieve", "pool", study.store, other)
        assert (done.code, words in done.stderr) == (code, True), done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert call_cli("retrieve", "pool", study.store, tmp_path / "no").code == 4
    assert call_cli("retrieve", "pool", study.store, study.run, "--average", "x").code == 2
    assert call_cli("retrieve", "pool", study.store, study.run, "--pool", "1").code == 2
