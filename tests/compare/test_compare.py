"""`mindeye compare` on evaluated folders: nothing, something, other images, rows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from evaluate.folders import noisy, recon, save, stimuli
from scipy import stats as theory

METRICS = ("--metrics", "pixcorr,psnr")
PICTURES = dict[str, np.ndarray]


@pytest.fixture
def truth() -> PICTURES:
    return stimuli(24)


@pytest.fixture
def scored(tmp_path: Path, truth: PICTURES, call_cli: Callable) -> Callable[..., Path]:
    """Make a folder of noisy pictures and evaluate it."""
    images = save(tmp_path / "stimuli", truth)

    def make(name: str, amount: int, seed: int = 1, n: int = 24, **facts: object) -> Path:
        few = dict(list(truth.items())[:n])
        folder = recon(tmp_path / name, noisy(few, amount, seed), **facts)
        assert call_cli("evaluate", folder, "--images", images, *METRICS, "--json").code == 0
        return folder

    return make


def synthetic(folder: Path, values: np.ndarray, subject: str = "s1", pairs: bool = False) -> Path:
    """An evaluation written by hand."""
    folder.mkdir(parents=True)
    line = {"per_image": values.tolist(), "direction": "higher", "card": {}}
    if pairs:
        line["pseudo_values"] = (2 * values).tolist()
    document = {
        "schema": "mindeye-evaluation",
        "schema_version": 2,
        "ids": [f"i{k:03d}" for k in range(len(values))],
        "metrics": {"score": line},
    }
    (folder / "evaluation.json").write_text(json.dumps(document))
    (folder / "manifest.json").write_text(json.dumps({"subject": subject}))
    return folder


def test_identical_systems_differ_by_nothing(scored: Callable, call_cli: Callable) -> None:
    one = scored("one", 60)
    shutil.copytree(one, one.with_name("two"))
    result = call_cli("compare", one, one.with_name("two"), "--json").json
    assert list(result["metrics"]) == ["pixcorr", "psnr"] and result["command"] == "compare"
    for line in result["metrics"].values():
        assert (line["difference"], line["ci95"], line["p"]) == (0.0, [0.0, 0.0], 1.0)
        assert line["sign_p"] == line["p_holm"] == 1.0 and line["better"] is None


def test_a_better_system_is_better_in_every_metric(
    scored: Callable, call_cli: Callable, tmp_path: Path
) -> None:
    good, poor, worse = scored("good", 30), scored("poor", 120, 2), scored("worse", 200, 3)
    out = tmp_path / "out.json"
    result = call_cli("compare", good, poor, worse, "--out", out, "--json").json
    assert [c["second"] for c in result["comparisons"]] == [str(poor), str(worse)]
    assert result["metrics"] == result["comparisons"][0]["metrics"]
    assert json.loads(out.read_text())["comparisons"] == result["comparisons"]
    for line in result["metrics"].values():
        assert line["ci95"][0] > 0 and line["better"] == "first" and line["n"] == 24
        assert line["p"] < line["p_holm"] < 0.05
    back = call_cli("compare", poor, good, "--metrics", "psnr", "--json").json["metrics"]["psnr"]
    assert back["difference"] == -result["metrics"]["psnr"]["difference"]
    assert back["better"] == "second"
    told = call_cli("compare", good, poor)
    assert "pixcorr" in told.stderr and told.stdout == ""


def test_the_difference_is_that_of_the_scores(scored: Callable, call_cli: Callable) -> None:
    one, two = scored("one", 60), scored("two", 90, 2)
    lines = [json.loads((f / "evaluation.json").read_text())["metrics"]["psnr"] for f in (one, two)]
    found = call_cli("compare", one, two, "--json").json["metrics"]["psnr"]
    assert found["difference"] == pytest.approx(lines[0]["value"] - lines[1]["value"])
    known = theory.ttest_rel(lines[0]["per_image"], lines[1]["per_image"]).confidence_interval()
    assert found["ci95"] == pytest.approx(list(known), rel=0.15)


def test_two_runs_that_differ_in_noise_have_uniform_p(tmp_path: Path, call_cli: Callable) -> None:
    draw = np.random.default_rng(0)
    p = []
    for k in range(40):
        shared = draw.random(30)
        folders = [
            synthetic(tmp_path / f"{k}-{side}", shared + draw.normal(0, 0.2, 30)) for side in "ab"
        ]
        p.append(call_cli("compare", *folders, "--json").json["metrics"]["score"]["p"])
    assert theory.kstest(p, "uniform").pvalue > 0.01


def test_other_images_are_refused_by_name(
    scored: Callable, call_cli: Callable, tmp_path: Path
) -> None:
    one, few = scored("one", 60), scored("few", 60, n=23)
    done = call_cli("compare", one, few)
    assert done.code == 3 and "img023" in done.stderr and str(few) in done.stderr
    other = synthetic(tmp_path / "s2", np.arange(9.0), "s2")
    done = call_cli("compare", synthetic(tmp_path / "s1", np.arange(9.0)), other)
    assert done.code == 3 and "s2" in done.stderr


def test_bad_input_is_one_line(scored: Callable, call_cli: Callable, tmp_path: Path) -> None:
    one = scored("one", 60)
    raw = recon(tmp_path / "raw", stimuli(3))
    broken = shutil.copytree(one, tmp_path / "broken")
    (broken / "evaluation.json").write_text('{"schema": 1')
    old = shutil.copytree(one, tmp_path / "old")
    text = (old / "evaluation.json").read_text()
    (old / "evaluation.json").write_text(text.replace('"schema_version": 2', '"schema_version": 1'))
    for arguments, code, words in (
        ((one,), 2, "two systems"),
        ((one, raw), 4, "mindeye evaluate"),
        ((one, tmp_path / "absent"), 4, "no such"),
        ((one, broken), 3, "evaluation.json"),
        ((one, old), 3, "version 1"),
        ((one, one, "--metrics", "clip"), 3, "no metric in common"),
    ):
        done = call_cli("compare", *arguments)
        assert done.code == code, done.stderr
        assert words in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_few_subjects_have_intervals_of_their_own_only(tmp_path: Path, call_cli: Callable) -> None:
    draw = np.random.default_rng(1)
    for system, gain in (("a", 0.5), ("b", 0.0)):
        for k in range(8):
            values = gain + draw.normal(0, 1, 40)
            synthetic(tmp_path / system / f"subj{k}", values, f"s{k}", pairs=True)
    for system in "ab":
        shutil.copytree(tmp_path / system, tmp_path / f"{system}-few")
        for k in range(3, 8):
            shutil.rmtree(tmp_path / f"{system}-few" / f"subj{k}")
    few = call_cli("compare", tmp_path / "a-few", tmp_path / "b-few", "--json").json
    line = few["metrics"]["score"]
    assert line["ci95"] == [None, None] and line["p"] is None and "fewer than 8" in line["note"]
    rows = few["comparisons"][0]["rows"]
    assert list(rows) == ["subj0", "subj1", "subj2"] and rows["subj0"]["subject"] == "s0"
    assert rows["subj0"]["metrics"]["score"]["ci95"][0] is not None
    many = call_cli("compare", tmp_path / "a", tmp_path / "b", "--json").json["metrics"]["score"]
    low, high = many["ci95"]
    assert low < many["difference"] < high and many["p"] < 0.05


def test_seeds_are_rows_and_no_more_images(tmp_path: Path, call_cli: Callable) -> None:
    draw = np.random.default_rng(2)
    one, two = draw.normal(0.2, 1, 40), draw.normal(0, 1, 40)
    for seed in range(4):
        synthetic(tmp_path / "a" / f"seed{seed}", one)
        synthetic(tmp_path / "b" / f"seed{seed}", two)
    found = call_cli("compare", tmp_path / "a", tmp_path / "b", "--json").json
    line, row = found["metrics"]["score"], found["comparisons"][0]["rows"]["seed0"]
    assert line["n"] == 40 and line["ci95"] == row["metrics"]["score"]["ci95"]
    done = call_cli("compare", tmp_path / "a", tmp_path / "b" / "seed0")
    assert done.code == 3 and "seed0" in done.stderr
