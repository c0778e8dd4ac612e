"""Controls that cannot pass for reconstructions, candidates chosen by the truth, and leaks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from evaluate.folders import noisy, recon, save, stimuli
from PIL import Image, PngImagePlugin

from mindeye_cli.evaluate.fraction import fraction

PIXEL = ("--metrics", "pixcorr,psnr", "--json")
PSNR = ("--metrics", "psnr", "--json")
PICTURES = dict[str, np.ndarray]


@pytest.fixture
def truth() -> PICTURES:
    return stimuli(20)


@pytest.fixture
def images(tmp_path: Path, truth: PICTURES) -> Path:
    return save(tmp_path / "stimuli", truth)


def with_candidates(folder: Path, truth: PICTURES, pick: Callable[..., int]) -> Path:
    """Four noisy candidates of each image; `pick` chooses one of them."""
    draw = np.random.default_rng(3)
    chosen = {}
    for name, pixels in truth.items():
        four = [noisy({"x": pixels}, 90, seed=int(draw.integers(1e9)))["x"] for _ in range(4)]
        save(folder / "candidates" / f"pic-{name}", {f"{k:02d}": p for k, p in enumerate(four)})
        errors = [np.square(p.astype(float) - pixels).mean() for p in four]
        chosen[name] = four[pick(errors)]
    return recon(folder, chosen)


def warned(done: object) -> list[str]:
    assert done.code == 0, done.stderr  # type: ignore[attr-defined]
    return [item["code"] for item in done.json["warnings"]]  # type: ignore[attr-defined]


def test_candidates_picked_by_the_truth_are_called_out(
    tmp_path: Path, truth: PICTURES, images: Path, call_cli: Callable
) -> None:
    draw = np.random.default_rng(0)

    def half_blind(errors: list[float]) -> int:
        return int(np.argmin(errors)) if draw.random() < 0.5 else int(draw.integers(4))

    cheat = with_candidates(tmp_path / "cheat", truth, lambda errors: int(np.argmin(errors)))
    honest = with_candidates(tmp_path / "honest", truth, half_blind)
    assert warned(call_cli("evaluate", cheat, "--images", images, *PSNR)) == [
        "picked-by-ground-truth"
    ]
    assert warned(call_cli("evaluate", honest, "--images", images, *PSNR)) == []


def test_a_manifest_that_says_how_it_chose_is_believed(
    tmp_path: Path, truth: PICTURES, images: Path, call_cli: Callable
) -> None:
    said = recon(tmp_path / "said", noisy(truth, 60), chosen_by="ground_truth")
    assert warned(call_cli("evaluate", said, "--images", images, *PSNR)) == [
        "picked-by-ground-truth"
    ]
    other = recon(tmp_path / "other", noisy(truth, 60))
    manifest = json.loads((other / "manifest.json").read_text())
    for line in manifest["images"]:
        line |= {"scores": [0.1, 0.5], "chosen": 0}
    (other / "manifest.json").write_text(json.dumps(manifest))
    assert warned(call_cli("evaluate", other, "--images", images, *PSNR)) == ["picked-otherwise"]


def test_a_ceiling_cannot_pass_for_a_reconstruction(
    tmp_path: Path, truth: PICTURES, images: Path, call_cli: Callable
) -> None:
    ceiling = recon(tmp_path / "ceiling", noisy(truth, 5), control="ceiling")
    alone = call_cli("evaluate", ceiling, "--images", images, *PIXEL)
    assert alone.code == 2 and "ceiling" in alone.json["error"]["message"]
    plain = tmp_path / "plain"
    plain.mkdir()
    for name, pixels in truth.items():
        chunk = PngImagePlugin.PngInfo()
        chunk.add_text("mindeye-control", "ceiling")
        Image.fromarray(pixels).save(plain / f"{name}.png", pnginfo=chunk)
    assert call_cli("evaluate", plain, "--images", images, *PIXEL).code == 2
    brain = recon(tmp_path / "brain", noisy(truth, 60), control="none")
    for named in (f"ours={ceiling}", f"ceiling={brain}", f"prior-only={brain}"):
        done = call_cli("evaluate", brain, "--images", images, "--control", named, *PIXEL)
        assert done.code == 2, named
    prior = recon(tmp_path / "prior", noisy(truth, 255), control="mean-brain")
    beside = ("--control", f"ceiling={ceiling}", "--control", f"prior-only={prior}")
    result = call_cli("evaluate", brain, "--images", images, *beside, *PIXEL).json
    share = result["metrics"]["pixcorr"]["fraction"]
    controls = result["metrics"]["pixcorr"]["controls"]
    value, low, high = (
        result["metrics"]["pixcorr"]["value"],
        controls["prior-only"]["value"],
        controls["ceiling"]["value"],
    )
    assert share["value"] == pytest.approx((value - low) / (high - low))
    assert share["ci95"][0] < share["value"] < share["ci95"][1]


def test_a_fraction_needs_a_ceiling_above_the_prior() -> None:
    draw = np.random.default_rng(0)
    same = draw.random(30)
    units = {"": same, "prior-only": same, "ceiling": same + draw.normal(0, 0.1, 30)}
    found = fraction(units, 0, higher=True)
    assert found is not None and np.isnan(found["value"]) and "not clearly" in found["note"]
    assert fraction({"": same, "ceiling": same}, 0, higher=True) is None
    lower = {"": same + 0.5, "prior-only": same + 1, "ceiling": same}
    found = fraction(lower, 0, higher=False)
    assert found is not None and found["value"] == pytest.approx(0.5)


def test_shifted_rows_are_said_on_the_command_line(
    tmp_path: Path, truth: PICTURES, images: Path, call_cli: Callable
) -> None:
    names = list(truth)
    moved = {name: truth[names[k - 1]] for k, name in enumerate(names)}
    folder = recon(tmp_path / "moved", noisy(moved, 60))
    done = call_cli("evaluate", folder, "--images", images, "--metrics", "pixcorr")
    assert done.code == 0 and "warning: a shift of the stimuli by -1" in done.stderr
    document = json.loads((folder / "evaluation.json").read_text())
    assert [item["code"] for item in document["warnings"]] == ["rows-shifted"]


def test_one_picture_at_a_time_scores_as_all_at_once(
    tmp_path: Path, truth: PICTURES, images: Path, call_cli: Callable
) -> None:
    """Nothing is scaled or chosen by the set: each picture's own scores are its own."""
    pictures = noisy(truth, 60)
    call_cli("evaluate", recon(tmp_path / "all", pictures), "--images", images, *PIXEL)
    together = json.loads((tmp_path / "all" / "evaluation.json").read_text())
    for place, name in list(enumerate(truth))[:3]:
        folder = recon(tmp_path / name, {name: pictures[name]})
        result = call_cli("evaluate", folder, "--images", images, *PIXEL).json
        for metric in ("pixcorr", "psnr"):
            known = together["metrics"][metric]["per_image"][place]
            assert result["metrics"][metric]["value"] == pytest.approx(known, abs=1e-6)
