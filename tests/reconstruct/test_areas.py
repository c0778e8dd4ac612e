"""`mindeye reconstruct --keep-rois, --drop-rois`: as from a store whose other voxels are 0."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reconstruct.study import NCSNR, VOXELS, Study, arguments, build, build_store

from mindeye_cli.core.fingerprint import of_array

# The study's areas: A, B, C and D of five voxels each, and AB, which is A and B.
A, D = np.arange(VOXELS) < 5, np.arange(VOXELS) >= 15
ONE = ("--candidates", "1")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return build(tmp_path_factory.mktemp("study"), areas=True)


def pictures(out: Path) -> dict[str, bytes]:
    """Every picture, low-level ones and candidates included, but for the grid with the stimuli."""
    found = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*/*.png")}
    assert found
    return found


def manifest(out: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((out / "manifest.json").read_text())
    return record


def without(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in names}


@pytest.mark.parametrize(
    ("options", "kept", "average"),
    [
        (("--keep-rois", "A"), A, "voxels"),
        (("--keep-rois", "AB | C"), ~D, "predictions"),
        (("--drop-rois", "B | C | D"), A, "none"),
        (("--keep-rois", "AB", "--drop-rois", "B"), A, "voxels"),
    ],
)
def test_as_from_a_store_whose_other_voxels_are_zero(
    study: Study, tmp_path: Path, call_cli: Callable, options: Any, kept: np.ndarray, average: str
) -> None:
    """The pictures, the low-level ones, every candidate, and which was chosen."""
    zeroed = build_store(tmp_path / "zeroed.zarr", areas=True, kept=kept)
    same = ("--average", average, "--keep-candidates", "--limit", "2")
    whole = arguments(study, tmp_path / "whole", *same, *options)
    done = call_cli(*whole)
    assert done.code == 0, done.stderr
    plain = arguments(study, tmp_path / "zeros", *same)
    plain[1] = zeroed
    assert call_cli(*plain).code == 0
    assert pictures(tmp_path / "whole") == pictures(tmp_path / "zeros")
    ours, theirs = manifest(tmp_path / "whole"), manifest(tmp_path / "zeros")
    for one, other in zip(ours["images"], theirs["images"], strict=True):
        assert one == other  # Seeds, cosines and the choice.
    readout = done.json["readout"]
    assert readout == ours["readout"] and "readout" not in theirs
    assert (readout["voxels"], readout["of"]) == (int(kept.sum()), VOXELS)
    assert readout["question"] == "needed by decoder" and readout["mask"] == of_array(kept)


@pytest.mark.parametrize("decoder", ["nearest", "low-level"])
def test_decoders_without_a_generator_read_the_same_voxels(
    study: Study, tmp_path: Path, call_cli: Callable, decoder: str
) -> None:
    zeroed = build_store(tmp_path / "zeroed.zarr", areas=True, kept=D)
    run = ("--high", study.ridge) if decoder == "nearest" else ("--low", study.low)
    more = () if decoder == "nearest" else ("--weights", study.generator)
    for store, out, keep in (
        (study.store, "areas", ("--keep-rois", "D")),
        (zeroed, "zeros", ()),
        (study.store, "all", ()),
    ):
        words = ("reconstruct", store, tmp_path / out, "--decoder", decoder, *run, *more, *keep)
        assert call_cli(*words).code == 0
    assert pictures(tmp_path / "areas") == pictures(tmp_path / "zeros")
    assert pictures(tmp_path / "areas") != pictures(tmp_path / "all")


def test_all_areas_draw_what_no_area_draws(
    study: Study, tmp_path: Path, call_cli: Callable
) -> None:
    """And a reconstruction without areas records nothing of them."""
    assert call_cli(*arguments(study, tmp_path / "plain", *ONE)).code == 0
    every = arguments(study, tmp_path / "every", *ONE, "--keep-rois", "AB | C | D")
    assert call_cli(*every).code == 0
    assert pictures(tmp_path / "plain") == pictures(tmp_path / "every")
    plan = json.loads((tmp_path / "plain" / "plan.json").read_text())
    assert "readout" not in plan["settings"] and "readout" not in manifest(tmp_path / "plain")
    assert not [name for name in plan["settings"] if "rois" in name]


def test_other_areas_are_another_reconstruction(
    study: Study, tmp_path: Path, call_cli: Callable
) -> None:
    def call(*more: str) -> Any:
        return call_cli(*arguments(study, tmp_path / "out", *ONE, *more))

    assert call("--keep-rois", "A").json["status"] == "ok"
    assert call("--keep-rois", "A").json["status"] == "notneeded"
    for other in ((), ("--keep-rois", "B"), ("--drop-rois", "A")):
        result = call(*other)
        assert result.code == 3 and "readout was" in result.json["error"]["message"]


def test_a_replay_reads_the_recorded_areas(
    study: Study, tmp_path: Path, call_cli: Callable
) -> None:
    options = ("--keep-rois", "C | D", "--control", "random-voxels", "--seed", "4")
    assert call_cli(*arguments(study, tmp_path / "out", *options)).code == 0
    base = ("reconstruct", study.store, tmp_path / "again", "--json", "--replay")
    result = call_cli(*base, tmp_path / "out" / "manifest.json")
    assert result.json["replay"]["identical"] == result.json["n"] == 5
    ours, recorded = manifest(tmp_path / "again"), manifest(tmp_path / "out")
    assert ours["readout"] == recorded["readout"] and ours["control"] == "random-voxels"
    other = call_cli(*base, tmp_path / "out" / "manifest.json", "--keep-rois", "A", "--overwrite")
    assert other.code == 2 and other.json["error"]["where"] == "--keep-rois"


def test_random_voxels_are_as_many_with_the_same_ceiling(
    study: Study, tmp_path: Path, call_cli: Callable
) -> None:
    """The control draws what a store with those voxels alone draws; the seed decides which."""
    found = {}
    for name, seed in (("one", "1"), ("again", "1"), ("two", "2")):
        options = ("--keep-rois", "A", "--control", "random-voxels", "--seed", seed)
        done = call_cli(*arguments(study, tmp_path / name, *ONE, *options))
        assert done.code == 0, done.stderr
        found[name] = done.json["readout"]
    assert found["one"] == found["again"]
    assert found["one"]["mask"] != found["two"]["mask"]
    assert pictures(tmp_path / "one") == pictures(tmp_path / "again")
    assert found["one"]["matched"] == "number and noise-ceiling SNR"
    chosen = [mask for mask in every_set_like_a() if of_array(mask) == found["one"]["mask"]]
    assert len(chosen) == 1, "not one of the sets that are like A"
    with Image.open(next((tmp_path / "one" / "images").iterdir())) as picture:
        assert picture.info["mindeye-control"] == "random-voxels"
    zeroed = build_store(tmp_path / "zeroed.zarr", areas=True, kept=chosen[0])
    plain = arguments(study, tmp_path / "zeros", *ONE, "--seed", "1")
    plain[1] = zeroed
    assert call_cli(*plain).code == 0
    ours, theirs = (
        without(line, "agreement")
        for out in ("one", "zeros")
        for line in manifest(tmp_path / out)["images"][:1]
    )
    assert ours == theirs
    for file in sorted((tmp_path / "one" / "images").iterdir()):
        pair = [np.asarray(Image.open(tmp_path / out / "images" / file.name)) for out in PAIR]
        np.testing.assert_array_equal(*pair)


PAIR = ("one", "zeros")


def every_set_like_a() -> list[np.ndarray]:
    """All sets with as many voxels of each of the ten levels of SNR, two voxels a level, as A."""
    levels = np.unique(NCSNR)
    assert len(levels) == 10
    sets = [np.zeros(VOXELS, bool)]
    for level in levels:
        voxels = np.flatnonzero(level == NCSNR)
        count = int(A[voxels].sum())
        assert len(voxels) == 2
        choices = {0: [()], 1: [(voxels[0],), (voxels[1],)], 2: [tuple(voxels)]}[count]
        sets = [with_voxels(mask, choice) for mask in sets for choice in choices]
    return sets


def with_voxels(mask: np.ndarray, voxels: tuple[int, ...]) -> np.ndarray:
    more = mask.copy()
    more[list(voxels)] = True
    return more


def test_evaluate_and_report_tell_areas_from_their_control(
    study: Study, tmp_path: Path, call_cli: Callable
) -> None:
    """The strip of `mindeye report`: stimulus, all voxels, an area alone, random voxels."""
    out = tmp_path / "recon"
    plans = {
        "all": (),
        "a": ("--keep-rois", "A"),
        "a-random": ("--keep-rois", "A", "--control", "random-voxels"),
        "no-d": ("--drop-rois", "D"),
    }
    for name, more in plans.items():
        assert call_cli(*arguments(study, out / name, *ONE, *more)).code == 0
    score = ("evaluate", "--metrics", "pixcorr", "--json")
    control = f"random-voxels={out / 'a-random'}"
    done = call_cli(*score, out / "a", "--control", control)
    assert done.code == 0 and "random-voxels" in done.json["metrics"]["pixcorr"]["controls"]
    for name, wrong, words in (
        ("no-d", control, "other areas"),
        ("all", control, "other areas"),
        ("a", f"random-voxels={out / 'no-d'}", "not what 'random-voxels' means"),
    ):
        refused = call_cli(*score, out / name, "--control", wrong)
        assert refused.code == 2 and words in refused.json["error"]["message"]
    for name in ("all", "no-d", "a-random"):
        assert call_cli(*score, out / name).code == 0
    page = tmp_path / "report.html"
    assert call_cli("report", out, "--out", page, "--format", "html,md").code == 0
    text = page.with_suffix(".md").read_text()
    for words in ("A alone", "random voxels like A alone", "without D"):
        assert words in text
    assert "A alone (5 of 20 voxels read)" in text
    strip = next(
        line
        for line in text.splitlines()
        if line.startswith("| image | stimulus | ") and "random voxels like A alone" in line
    )
    for title in ("all", "a: A alone", "a-random: random voxels like A alone", "no-d: without D"):
        assert f"| {title} |" in strip


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--keep-rois", "FFA"), 3, ("no area 'FFA'", "AB")),
        (("--drop-rois", "AB | C | D"), 3, ("no voxel is left",)),
        (("--keep-rois", "A", "--drop-rois", "AB"), 3, ("no voxel is left",)),
        (("--keep-rois", "A |"), 2, ("missing",)),
        (("--control", "random-voxels"), 2, ("none is named",)),
        (("--control", "ceiling", "--keep-rois", "A"), 2, ("reads no voxel",)),
    ],
)
def test_refusals(
    study: Study,
    tmp_path: Path,
    call_cli: Callable,
    options: tuple[str, ...],
    code: int,
    words: tuple[str, ...],
) -> None:
    result = call_cli(*arguments(study, tmp_path / "out", *options))
    assert result.code == code and not (tmp_path / "out").exists()
    for word in words:
        assert word in str(result.json["error"])


def test_a_subject_without_labels_is_refused(
    study: Study, tmp_path: Path, call_cli: Callable
) -> None:
    words = arguments(study, tmp_path / "out", "--keep-rois", "A")
    words[1] = build_store(tmp_path / "plain.zarr")
    result = call_cli(*words)
    assert result.code == 3 and "no ROI labels" in result.json["error"]["message"]
