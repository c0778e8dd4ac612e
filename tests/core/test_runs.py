from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mindeye_cli.core import runs
from mindeye_cli.core.checkpoint import load_tensors
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem

INFO = runs.RunInfo(
    kind="ridge",
    space="pixels:8",
    subjects=("a", "b"),
    n_voxels=(10, 12),
    seed=3,
    voxels=("v" * 64, "w" * 64),
    targets="t" * 64,
    details={"norm": "raw", "shape": (3, 4)},
)


def test_a_new_run_is_described_and_found_again(tmp_path: Path) -> None:
    run = tmp_path / "deep" / "run"
    assert runs.create_run(run, INFO, "alpha = 1\n") == INFO
    found = runs.read_run(run)
    assert found == replace(INFO, details={"norm": "raw", "shape": [3, 4]})
    assert found.status == "training" and found.versions["torch"] == torch.__version__.split("+")[0]
    # An interrupted run is continued whatever versions it was started with.
    again = runs.create_run(run, replace(INFO, versions={}), "alpha = 1\n")
    assert again == found


@pytest.mark.parametrize(
    ("info", "config", "names"),
    [
        (replace(INFO, seed=4), "alpha = 1\n", "seed"),
        (replace(INFO, subjects=("a", "c"), targets="x"), "alpha = 1\n", "subjects, targets"),
        (INFO, "alpha = 2\n", "config.toml"),
    ],
)
def test_another_run_is_refused(
    tmp_path: Path, info: runs.RunInfo, config: str, names: str
) -> None:
    runs.create_run(tmp_path, INFO, "alpha = 1\n")
    with pytest.raises(UsageProblem, match=f"{names} differ"):
        runs.create_run(tmp_path, info, config)
    assert runs.create_run(tmp_path, info, config, overwrite=True) == info
    assert runs.read_run(tmp_path).seed == info.seed
    assert not list(tmp_path.parent.glob(f"{tmp_path.name}.old*"))


def test_a_folder_that_is_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(UsageProblem):
            runs.create_run(tmp_path, INFO, "", overwrite=overwrite)
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_finishing(tmp_path: Path) -> None:
    runs.create_run(tmp_path, INFO, "")
    weights = {"w": torch.arange(6.0).reshape(2, 3), "b": torch.ones(3, dtype=torch.bfloat16)}
    runs.finish_run(
        tmp_path, weights, steps=7, metrics={"r2": torch.tensor(0.5), "x": float("inf")}
    )
    done = runs.read_run(tmp_path)
    assert (done.status, done.steps, done.metrics) == ("finished", 7, {"r2": 0.5, "x": None})
    loaded = load_tensors(tmp_path / runs.MODEL)
    assert loaded.keys() == weights.keys()
    assert all(torch.equal(loaded[name], weights[name]) for name in weights)
    runs.write_exit(tmp_path, 75, "SIGTERM", 7)
    assert json.loads((tmp_path / "exit.json").read_text()) == {
        "code": 75, "reason": "SIGTERM", "step": 7
    }  # fmt: skip


def test_damaged_descriptions(tmp_path: Path) -> None:
    with pytest.raises(MissingResource):
        runs.read_run(tmp_path)
    runs.create_run(tmp_path, INFO, "")
    file = tmp_path / "run.json"
    good = file.read_text()
    for text in ("{", "[]", '{"schema_version": 2}', "{}"):
        file.write_text(text)
        with pytest.raises(InvalidInput, match=r"run\.json"):
            runs.read_run(tmp_path)
    file.write_text(good.replace('"schema_version": 2', '"schema_version": 99'))
    with pytest.raises(InvalidInput, match="schema version 99"):
        runs.read_run(tmp_path)


def test_log_is_cut_back_to_the_step_resumed_from(tmp_path: Path) -> None:
    runs.trim_log(tmp_path, 1)
    for step in range(5):
        runs.append_log(tmp_path, step=step, loss=1 / (step + 1))
    log = tmp_path / runs.LOG
    log.write_bytes(log.read_bytes() + b'{"step": 5, "lo')
    runs.trim_log(tmp_path, 2)
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert steps == [0, 1, 2]


@pytest.mark.parametrize("line", [b'{"step": 1, "lo\n', b"\xff\n", b"[]\n", b'{"step": null}\n'])
def test_a_damaged_log_line_is_named(tmp_path: Path, line: bytes) -> None:
    runs.append_log(tmp_path, step=0, loss=1.0)
    log = tmp_path / runs.LOG
    whole = log.read_bytes() + line + b'{"step": 2}\n'
    log.write_bytes(whole)
    with pytest.raises(InvalidInput, match=r"log\.jsonl, line 2"):
        runs.trim_log(tmp_path, 3)
    assert log.read_bytes() == whole


def test_a_run_older_than_a_detail_is_continued(tmp_path: Path) -> None:
    older = runs.create_run(tmp_path, INFO, "")
    newer = replace(INFO, details={**INFO.details, "trained_images": [1, 2]})
    assert runs.create_run(tmp_path, newer, "").voxels == older.voxels
    with pytest.raises(UsageProblem, match="details differ"):
        runs.create_run(tmp_path, replace(newer, details={**newer.details, "norm": "unit"}), "")
    runs.create_run(tmp_path, newer, "", overwrite=True)
    with pytest.raises(UsageProblem, match="details differ"):
        runs.create_run(
            tmp_path, replace(newer, details={**INFO.details, "trained_images": []}), ""
        )


def test_every_subject_has_its_voxels(tmp_path: Path) -> None:
    for wrong in ({"n_voxels": (10,)}, {"voxels": ()}, {"subjects": ()}):
        with pytest.raises(ValueError, match="one length"):
            replace(INFO, **wrong)
    runs.create_run(tmp_path, INFO, "")
    file = tmp_path / "run.json"
    whole = json.loads(file.read_text())
    for n_voxels in (10, [10], None):
        file.write_text(json.dumps({**whole, "n_voxels": n_voxels}))
        with pytest.raises(InvalidInput, match=r"not a run description"):
            runs.read_run(tmp_path)
    file.write_text(json.dumps({**whole, "schema_version": 1, "n_voxels": 10}))
    with pytest.raises(InvalidInput, match="schema version 1, this program reads 2"):
        runs.read_run(tmp_path)
