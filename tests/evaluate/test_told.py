"""What a score sheet tells of its own limits: parts, undefined pictures, weights, bad folders."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from evaluate.folders import noisy, recon, save, stimuli

from mindeye_cli.core import stats

PICTURES = dict[str, np.ndarray]
METRICS = ("--metrics", "pixcorr,psnr")


@pytest.fixture
def truth() -> PICTURES:
    return stimuli(20)


@pytest.fixture
def images(tmp_path: Path, truth: PICTURES) -> Path:
    return save(tmp_path / "stimuli", truth)


def grey(pictures: PICTURES, k: int) -> PICTURES:
    """The first k pictures as one grey."""
    flat = np.full((16, 16, 3), 128, dtype=np.uint8)
    return {name: flat if i < k else p for i, (name, p) in enumerate(pictures.items())}


def test_a_part_of_the_stimuli_is_said(
    tmp_path: Path, truth: PICTURES, images: Path, call_cli: Callable
) -> None:
    few = recon(tmp_path / "few", noisy(dict(list(truth.items())[:15]), 60))
    whole = recon(tmp_path / "whole", noisy(truth, 60))
    result = call_cli("evaluate", few, "--images", images, *METRICS)
    assert "15 of 20 stimuli were reconstructed" in result.stderr
    done = call_cli("evaluate", whole, "--images", images, *METRICS, "--json").json
    assert "subset" not in [warning["code"] for warning in done["warnings"]]


def test_undefined_pictures_are_counted_where_a_person_reads(
    tmp_path: Path, truth: PICTURES, images: Path, call_cli: Callable
) -> None:
    folder = recon(tmp_path / "grey", grey(noisy(truth, 60), 2))
    lines = call_cli("evaluate", folder, "--images", images, *METRICS).stderr.splitlines()
    header = next(line for line in lines if "undefined" in line)
    row = next(line for line in lines if re.match(r"\W*pixcorr", line))
    assert "undefined" in header and {"18", "2"} <= set(re.findall(r"[\d.]+", row))
    page = tmp_path / "page.html"
    assert call_cli("report", folder, "--out", page).code == 0
    assert "undefined for 2 of 20 pictures" in page.read_text()


def test_a_limit_stays_among_the_images_own_scores() -> None:
    """Eighteen good pictures and two bad ones: bootstrap-t alone gives a limit far below both."""
    draw = np.random.default_rng(0)
    values = np.concatenate([draw.normal(20, 0.1, 18), [8.0, 8.3]])
    low, high = stats.mean_interval(values, np.arange(20), seed=0)
    assert values.min() <= low < values.mean() < high <= values.max()


def test_systems_with_undefined_pictures_are_compared_on_the_others(
    tmp_path: Path, truth: PICTURES, images: Path, call_cli: Callable
) -> None:
    one = recon(tmp_path / "one", noisy(truth, 60))
    two = recon(tmp_path / "two", grey(noisy(truth, 90, seed=2), 2))
    for folder in (one, two):
        call_cli("evaluate", folder, "--images", images, *METRICS)
    line = call_cli("compare", one, two, "--json").json["metrics"]["pixcorr"]
    assert (line["n"], line["undefined"]) == (18, 2)


def test_other_stimuli_are_refused_in_any_order(
    tmp_path: Path, truth: PICTURES, images: Path, call_cli: Callable
) -> None:
    one = recon(tmp_path / "one", noisy(truth, 60))
    two = recon(tmp_path / "two", dict(reversed(noisy(truth, 60).items())))
    other = save(tmp_path / "other", noisy(truth, 9, seed=3))
    for folder, against in ((one, images), (two, other)):
        assert call_cli("evaluate", folder, "--images", against, *METRICS).code == 0
    result = call_cli("compare", one, two)
    assert result.code == 3 and "other stimuli" in result.stderr
    call_cli("evaluate", two, "--images", images, *METRICS, "--overwrite")
    assert call_cli("compare", one, two, "--json").json["metrics"]["psnr"]["difference"] == 0


def test_weights_that_came_since_are_used(
    tmp_path: Path,
    truth: PICTURES,
    images: Path,
    call_cli: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mindeye_cli.evaluate import identity

    folder = recon(tmp_path / "one", noisy(truth, 60))
    command = ("evaluate", folder, "--images", images, "--published", "--json")
    first = call_cli(*command).json
    assert list(first["metrics"]) == ["pixcorr", "ssim"] and len(first["skipped"]) == 6
    assert call_cli(*command).json["status"] == "notneeded"
    inputs = json.loads((folder / "evaluation.json").read_text())["inputs"]
    assert inputs["weights"]["twoway_alexnet2"] is None

    def there(metric: object, truth: object) -> dict[str, str]:
        return {"sha256": "f"}

    monkeypatch.setattr(identity, "facts", there)
    again = call_cli(*command)
    assert again.code == 2 and "--overwrite" in again.stderr


def test_one_that_cannot_be_scored_does_not_keep_the_others(
    tmp_path: Path, truth: PICTURES, images: Path, call_cli: Callable
) -> None:
    good = [recon(tmp_path / name, noisy(truth, 60)) for name in ("a", "c")]
    bad = recon(tmp_path / "b", {"elsewhere": truth["img000"]})
    table = tmp_path / "all.csv"
    result = call_cli(
        "evaluate", good[0], bad, good[1], "--images", images, *METRICS, "--csv", table
    )
    assert result.code == 5 and "1 of 3 could not be scored" in result.stderr
    assert all((folder / "evaluation.json").exists() for folder in good)
    text = table.read_text()
    assert all(str(folder) in text for folder in good) and str(bad) not in text


def test_one_image_has_no_permuted_pairing(
    tmp_path: Path, truth: PICTURES, call_cli: Callable
) -> None:
    alone = {"img000": truth["img000"]}
    images = save(tmp_path / "alone", alone)
    folder = recon(tmp_path / "one", noisy(alone, 60))
    result = call_cli("evaluate", folder, "--images", images, *METRICS, "--json").json
    assert "permuted" not in result["metrics"]["pixcorr"]["controls"]
