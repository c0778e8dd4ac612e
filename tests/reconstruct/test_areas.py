"""`mindeye reconstruct --keep-rois, --drop-rois`: as from a store whose other voxels are 0."""

from __future__ import annotations

import json
import re
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


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return build(tmp_path_factory.mktemp("study"), areas=True)


def copied(study: Study, out: Path, *more: str, store: Path | None = None) -> list[Any]:
    """Words of a command that is quick: the training images nearest to the ridge's predictions."""
    run = ("--decoder", "nearest", "--high", study.ridge, "--json")
    return ["reconstruct", store or study.store, out, *run, *more]


def pictures(out: Path) -> dict[str, bytes]:
    """Every picture, low-level ones and candidates included, but for the grid with the stimuli."""
    found = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*/*.png")}
    assert found
    return found


def manifest(out: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((out / "manifest.json").read_text())
    return record


def test_as_from_a_store_whose_other_voxels_are_zero(
    study: Study, tmp_path: Path, call_cli: Callable
) -> None:
    """The pictures, the low-level ones, every candidate, and which was chosen."""
    zeroed = build_store(tmp_path / "zeroed.zarr", areas=True, kept=A)
    same = ("--keep-candidates", "--limit", "3")
    done = call_cli(*arguments(study, tmp_path / "whole", *same, "--keep-rois", "A"))
    assert done.code == 0, done.stderr
    plain = arguments(study, tmp_path / "zeros", *same)
    plain[1] = zeroed
    assert call_cli(*plain).code == 0
    assert pictures(tmp_path / "whole") == pictures(tmp_path / "zeros")
    ours, theirs = manifest(tmp_path / "whole"), manifest(tmp_path / "zeros")
    assert ours["images"] == theirs["images"]  # Seeds, cosines and choices.
    readout = done.json["readout"]
    assert readout == ours["readout"] and "readout" not in theirs
    assert (readout["voxels"], readout["of"]) == (5, VOXELS)
    assert readout["question"] == "needed by decoder" and readout["mask"] == of_array(A)


@pytest.mark.parametrize(
    ("options", "kept", "average"),
    [
        (("--keep-rois", "AB | C"), ~D, "predictions"),
        (("--drop-rois", "B | C | D"), A, "none"),
        (("--keep-rois", "AB", "--drop-rois", "B"), A, "voxels"),
    ],
)
def test_every_way_to_name_them_and_to_average(
    study: Study, tmp_path: Path, call_cli: Callable, options: Any, kept: np.ndarray, average: str
) -> None:
    zeroed = build_store(tmp_path / "zeroed.zarr", areas=True, kept=kept)
    same = ("--average", average)
    assert call_cli(*copied(study, tmp_path / "areas", *same, *options)).code == 0
    assert call_cli(*copied(study, tmp_path / "zeros", *same, store=zeroed)).code == 0
    assert call_cli(*copied(study, tmp_path / "all", *same)).code == 0
    ours, theirs, every = (manifest(tmp_path / out)["images"] for out in ("areas", "zeros", "all"))
    assert ours == theirs  # Which training images, and their cosines.
    assert ours != every


def test_the_low_level_run_reads_the_same_voxels(
    study: Study, tmp_path: Path, call_cli: Callable
) -> None:
    zeroed = build_store(tmp_path / "zeroed.zarr", areas=True, kept=D)
    low = ("--decoder", "low-level", "--low", study.low, "--weights", study.generator)
    for store, out, keep in (
        (study.store, "areas", ("--keep-rois", "D")),
        (zeroed, "zeros", ()),
        (study.store, "all", ()),
    ):
        assert call_cli("reconstruct", store, tmp_path / out, *low, *keep).code == 0
    assert pictures(tmp_path / "areas") == pictures(tmp_path / "zeros")
    assert pictures(tmp_path / "areas") != pictures(tmp_path / "all")


def test_all_areas_draw_what_no_area_draws(
    study: Study, tmp_path: Path, call_cli: Callable
) -> None:
    """And a reconstruction without areas records nothing of them."""
    assert call_cli(*copied(study, tmp_path / "plain")).code == 0
    every = copied(study, tmp_path / "every", "--keep-rois", "AB | C | D")
    assert call_cli(*every).code == 0
    ours, theirs = manifest(tmp_path / "every"), manifest(tmp_path / "plain")
    assert ours["images"] == theirs["images"] and "readout" not in theirs
    plan = json.loads((tmp_path / "plain" / "plan.json").read_text())
    assert "readout" not in plan["settings"]
    assert not [name for name in plan["settings"] if "rois" in name]


def test_other_areas_are_another_reconstruction(
    study: Study, tmp_path: Path, call_cli: Callable
) -> None:
    def call(*more: str) -> Any:
        return call_cli(*copied(study, tmp_path / "out", *more))

    assert call("--keep-rois", "A").json["status"] == "ok"
    assert call("--keep-rois", "A").json["status"] == "notneeded"
    for other in ((), ("--keep-rois", "B"), ("--drop-rois", "A")):
        result = call(*other)
        assert result.code == 3 and "readout was" in result.json["error"]["message"]


def test_a_replay_reads_the_recorded_areas(
    study: Study, tmp_path: Path, call_cli: Callable
) -> None:
    options = ("--keep-rois", "C | D", "--control", "random-voxels", "--seed", "4")
    assert call_cli(*arguments(study, tmp_path / "out", "--limit", "3", *options)).code == 0
    base = ("reconstruct", study.store, tmp_path / "again", "--json", "--replay")
    result = call_cli(*base, tmp_path / "out" / "manifest.json")
    assert result.json["replay"]["identical"] == result.json["n"] == 3
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
        done = call_cli(*copied(study, tmp_path / name, *options))
        assert done.code == 0, done.stderr
        found[name] = done.json["readout"]
    assert found["one"] == found["again"] and found["one"]["mask"] != found["two"]["mask"]
    assert pictures(tmp_path / "one") == pictures(tmp_path / "again")
    assert found["one"]["matched"] == "number and noise-ceiling SNR"
    chosen = [mask for mask in every_set_like_a() if of_array(mask) == found["one"]["mask"]]
    assert len(chosen) == 1, "not one of the sets that are like A"
    with Image.open(next((tmp_path / "one" / "images").iterdir())) as picture:
        assert picture.info["mindeye-control"] == "random-voxels"
    zeroed = build_store(tmp_path / "zeroed.zarr", areas=True, kept=chosen[0])
    assert call_cli(*copied(study, tmp_path / "zeros", "--seed", "1", store=zeroed)).code == 0
    assert manifest(tmp_path / "one")["images"] == manifest(tmp_path / "zeros")["images"]


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
        assert call_cli(*copied(study, out / name, *more)).code == 0
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
    strip = re.findall(r"<th[^>]*>([^<]*)</th>", page.read_text())
    for title in ("all", "a: A alone", "a-random: random voxels like A alone", "no-d: without D"):
        assert title in strip[strip.index("stimulus") :]


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
