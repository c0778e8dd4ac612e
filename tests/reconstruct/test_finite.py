"""Values that are not finite never become a picture: the image is named, the exit code is 5."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reconstruct.study import Study, arguments, build
from safetensors.torch import load_file, save_file

from mindeye_cli.models.run_model import RunModel


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return build(tmp_path_factory.mktemp("study"))


def spoil(monkeypatch: pytest.MonkeyPatch, output: str, row: int) -> None:
    """One value of one row of a run's output is not a number."""
    plain = RunModel.predict

    def broken(self: Any, *given: Any, **named: Any) -> Any:
        found = plain(self, *given, **named)
        if output in found:
            found[output] = found[output].copy()
            found[output][row].flat[-1] = np.nan
        return found

    monkeypatch.setattr(RunModel, "predict", broken)


def check(result: Any, out: Path, reason: str, *folders: str) -> None:
    assert (result.code, result.json["status"], result.json["n"]) == (5, "partial", 4)
    assert list(result.json["errors"]) == ["img001"] and reason in result.json["errors"]["img001"]
    assert json.loads((out / "manifest.json").read_text())["failed"] == ["img001"]
    for folder in folders:
        assert {path.stem for path in (out / folder).iterdir()} == {
            f"img00{k}" for k in (0, 2, 3, 4)
        }


@pytest.mark.parametrize("decoder", ["low-level", "latent-rgb"])
def test_a_latent(
    study: Study, tmp_path: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch, decoder: str
) -> None:
    words = ("reconstruct", study.store, tmp_path / "out", "--decoder", decoder, "--json")
    words = (*words, "--low", study.low)
    with monkeypatch.context() as patch:
        spoil(patch, "latent", 1)
        check(call_cli(*words), tmp_path / "out", "low-level run", "images")
        assert call_cli(*words).code == 5, "it is still not whole"
    assert call_cli(*words).json["n"] == 5


@pytest.mark.parametrize("strength", ["0.5", "1"])
def test_the_start_of_a_picture(
    study: Study, tmp_path: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch, strength: str
) -> None:
    """At strength 1 the generator does not look at the latent, and yet there is none to show."""
    spoil(monkeypatch, "latent", 1)
    result = call_cli(*arguments(study, tmp_path / "out", "--strength", strength))
    check(result, tmp_path / "out", "low-level picture", "images", "blurry")


def test_the_embedding_to_choose_by(
    study: Study, tmp_path: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, "retrieval", 1)
    check(call_cli(*arguments(study, tmp_path / "out")), tmp_path / "out", "choose", "images")
    one = arguments(study, tmp_path / "one", "--candidates", "1")
    assert call_cli(*one).code == 0, "nothing is chosen"


def test_the_embedding_of_the_nearest(
    study: Study, tmp_path: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, "prediction", 1)
    near = ("reconstruct", study.store, tmp_path / "out", "--decoder", "nearest", "--json")
    check(call_cli(*near, "--high", study.ridge), tmp_path / "out", "high-level run", "images")


def test_a_run_with_a_weight_that_is_not_a_number(
    study: Study, tmp_path: Path, call_cli: Any
) -> None:
    run = tmp_path / "low"
    shutil.copytree(study.low, run)
    tensors = load_file(run / "model.safetensors")
    next(tensors[key] for key in sorted(tensors) if key.endswith("weight")).fill_(np.nan)
    save_file(tensors, run / "model.safetensors")
    words = ("reconstruct", study.store, tmp_path / "out", "--decoder", "low-level", "--json")
    result = call_cli(*words, "--low", run, "--weights", study.generator)
    assert (result.code, result.json["n"], len(result.json["errors"])) == (5, 0, 5)
    assert not list((tmp_path / "out").rglob("*.png"))
