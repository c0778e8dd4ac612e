"""`mindeye evaluate` on small folders: keys, controls, reruns, and what it says to bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from evaluate.folders import noisy, recon, save, stimuli
from PIL import Image

from mindeye_cli.evaluate import run as evaluation

PIXEL = ("--metrics", "pixcorr,psnr")


@pytest.fixture
def truth() -> dict[str, np.ndarray]:
    return stimuli(10)


@pytest.fixture
def study(tmp_path: Path, truth: dict[str, np.ndarray]) -> tuple[Path, Path]:
    """(RECON, folder of stimuli)."""
    return recon(tmp_path / "recon", noisy(truth, 60)), save(tmp_path / "stimuli", truth)


def test_scores_intervals_controls_and_file(
    study: tuple[Path, Path], truth: dict[str, np.ndarray], call_cli: Callable, tmp_path: Path
) -> None:
    folder, images = study
    weak = recon(tmp_path / "weak", noisy(truth, 250, seed=5))
    command = ("evaluate", folder, "--images", images, "--control", f"prior-only={weak}")
    done = call_cli(*command, "--json")
    assert done.code == 0, done.stderr
    result = done.json
    assert result["command"] == "evaluate"
    assert result["outputs"] == [str(folder / "evaluation.json")]
    assert list(result["metrics"]) == ["pixcorr", "ssim", "psnr"]
    for metric in result["metrics"].values():
        assert {"value", "ci95", "n", "direction", "controls"} <= set(metric)
        low, high = metric["ci95"]
        assert low < metric["value"] < high and metric["n"] == 10
        assert metric["value"] > metric["controls"]["prior-only"]["value"]
        permuted = metric["controls"]["permuted"]
        assert permuted["permutations"] == 1000
        assert permuted["range95"][1] < metric["value"] and permuted["p"] < 0.01
    assert result["metrics"]["pixcorr"]["controls"]["chance"]["value"] == 0.0
    assert result["skipped"]["twoway_scene_net"].startswith("its network knows")
    assert "records" in result["skipped"]["category_accuracy"]
    document = json.loads((folder / "evaluation.json").read_text())
    assert document["schema"] == "mindeye-evaluation" and document["schema_version"] == 2
    assert document["ids"] == list(truth) and document["names"][0] == "pic-img000"
    line = document["metrics"]["pixcorr"]
    assert np.mean(line["per_image"]) == pytest.approx(line["value"])
    assert "425" in line["card"]["resize"]


def test_a_rerun_has_nothing_to_do_and_another_needs_overwrite(
    study: tuple[Path, Path], call_cli: Callable
) -> None:
    folder, images = study
    command = ("evaluate", folder, "--images", images, *PIXEL, "--json")
    first = call_cli(*command).json
    stamp = (folder / "evaluation.json").stat().st_mtime_ns
    again = call_cli(*command).json
    assert again["status"] == "notneeded" and again["metrics"] == first["metrics"]
    assert (folder / "evaluation.json").stat().st_mtime_ns == stamp
    assert call_cli(*command, "--seed", "3").code == 2
    assert call_cli(*command, "--seed", "3", "--overwrite").json["status"] == "ok"


def test_several_folders_are_json_lines(
    study: tuple[Path, Path], truth: dict[str, np.ndarray], call_cli: Callable, tmp_path: Path
) -> None:
    folder, images = study
    plain = save(tmp_path / "theirs", noisy(truth, 20))
    done = call_cli("evaluate", folder, plain, "--images", images, *PIXEL, "--json")
    lines = done.lines
    assert [line["recon"] for line in lines] == [str(folder), str(plain)]
    assert lines[1]["metrics"]["psnr"]["value"] > lines[0]["metrics"]["psnr"]["value"]


def test_permuting_the_images_permutes_the_results(
    study: tuple[Path, Path], truth: dict[str, np.ndarray], call_cli: Callable, tmp_path: Path
) -> None:
    _, images = study
    pictures = noisy(truth, 60)
    turned = recon(tmp_path / "turned", dict(reversed(pictures.items())))
    call_cli("evaluate", study[0], turned, "--images", images, *PIXEL)
    one, two = (
        json.loads((folder / "evaluation.json").read_text()) for folder in (study[0], turned)
    )
    assert one["ids"] == two["ids"][::-1]
    for name in ("pixcorr", "psnr"):
        values = [document["metrics"][name]["per_image"] for document in (one, two)]
        np.testing.assert_allclose(values[0], values[1][::-1], atol=1e-6)


def test_one_image_has_no_pairs_and_no_interval(
    truth: dict[str, np.ndarray], call_cli: Callable, tmp_path: Path
) -> None:
    images = save(tmp_path / "stimuli", truth)
    single = recon(tmp_path / "one", {"img000": truth["img000"]})
    metrics = "pixcorr,twoway_scene_clip"
    done = call_cli("evaluate", single, "--images", images, "--metrics", metrics, "--json")
    result = done.json
    assert result["metrics"]["pixcorr"]["value"] == pytest.approx(1.0)
    assert result["metrics"]["pixcorr"]["ci95"] == [None, None]
    assert "2 images" in result["skipped"]["twoway_scene_clip"]


def bad_folders(tmp_path: Path, truth: dict[str, np.ndarray]) -> dict[str, tuple[Path, int]]:
    sizes = dict(truth) | {"img003": truth["img003"][:8]}
    strange = recon(tmp_path / "strange", truth | {"other": truth["img000"]})
    damaged = recon(tmp_path / "damaged", truth)
    (damaged / "images" / "pic-img004.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    lost = recon(tmp_path / "lost", truth)
    (lost / "images" / "pic-img005.png").unlink()
    broken = recon(tmp_path / "broken", truth)
    (broken / "manifest.json").write_text('{"images": [')
    clear = recon(tmp_path / "clear", truth)
    Image.new("RGBA", (16, 16)).save(clear / "images" / "pic-img006.png")
    empty = tmp_path / "empty"
    empty.mkdir()
    return {
        "img003": (recon(tmp_path / "sizes", sizes), 3),
        "other": (strange, 3),
        "img004": (damaged, 3),
        "img005": (lost, 3),
        "manifest.json": (broken, 3),
        "img006": (clear, 3),
        "no PNG": (empty, 3),
        "no such folder": (tmp_path / "absent", 4),
    }


def test_bad_input_is_one_line_that_names_it(
    truth: dict[str, np.ndarray], call_cli: Callable, tmp_path: Path
) -> None:
    images = save(tmp_path / "stimuli", truth)
    for words, (folder, code) in bad_folders(tmp_path, truth).items():
        done = call_cli("evaluate", folder, "--images", images, *PIXEL)
        assert done.code == code, (words, done.stderr)
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1 and words in lines[0]
        assert not (folder / "evaluation.json").exists()


def test_usage_is_checked_before_anything_is_read(
    study: tuple[Path, Path], call_cli: Callable
) -> None:
    folder, images = study
    for arguments in (
        ("--metrics", "pixcor", "--images", images),
        ("--control", "chance=x", "--images", images),
        ("--control", "x", "--images", images),
        ("--images", images, "--store", images),
        (),
    ):
        done = call_cli("evaluate", folder, *arguments)
        assert done.code == 2, done.stderr


def test_a_control_must_hold_the_same_images(
    study: tuple[Path, Path], truth: dict[str, np.ndarray], call_cli: Callable, tmp_path: Path
) -> None:
    folder, images = study
    few = recon(tmp_path / "few", {"img000": truth["img000"]})
    done = call_cli("evaluate", folder, "--images", images, "--control", f"few={few}", *PIXEL)
    assert done.code == 3 and "lacks 9" in done.stderr


def test_a_damaged_evaluation_is_not_replaced_silently(
    study: tuple[Path, Path], call_cli: Callable
) -> None:
    folder, images = study
    (folder / "evaluation.json").write_text("{")
    done = call_cli("evaluate", folder, "--images", images, *PIXEL)
    assert done.code == 3 and "evaluation.json" in done.stderr
    assert call_cli("evaluate", folder, "--images", images, *PIXEL, "--overwrite").code == 0


def test_noise_scores_within_its_chance_range(tmp_path: Path) -> None:
    """Twenty reconstructions that know nothing: the mean score lies in the permuted range."""
    values, ranges = [], []
    truth = stimuli(12)
    images = save(tmp_path / "stimuli", truth)
    for seed in range(20):
        draw = np.random.default_rng(100 + seed)
        nothing = {k: draw.integers(0, 256, p.shape, dtype=np.uint8) for k, p in truth.items()}
        folder = recon(tmp_path / f"r{seed}", nothing)
        options = evaluation.Options(images=images, metrics=("pixcorr",))
        line = evaluation.evaluate(folder, options, evaluation.Stimuli(None, images)).values
        values.append(line["metrics"]["pixcorr"]["value"])
        ranges.append(line["metrics"]["pixcorr"]["controls"]["permuted"]["range95"])
    low, high = np.mean(ranges, axis=0)
    assert low <= np.mean(values) <= high
