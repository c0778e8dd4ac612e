"""Bad input of `mindeye explain`: one line, the exit code of the contract, no traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from explain.conftest import SPACE, Study, mindeye
from explain.copies import SUBJECT, cache, change_subject, copied, ridge, seen, seen_row
from PIL import Image

from mindeye_store import open_store

RESPONDS = ("--ask", "responds")


def _picture(study: Study) -> Image.Image:
    store = open_store(study.store)
    return Image.fromarray(store.images.read([seen_row(study)])[0])


def _drop(*names: str) -> Callable[[dict[str, Any]], None]:
    def edit(arrays: dict[str, Any]) -> None:
        for name in [key for key in arrays if key.startswith(names)]:
            del arrays[name]

    return edit


def test_wrong_requests_are_one_line_with_their_code(
    study: Study, call_cli: Callable, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))
    (tmp_path / "two").mkdir()
    for name in "ab":
        _picture(study).save(tmp_path / "two" / f"{name}.png")
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    _picture(study).save(tmp_path / "broken.png")
    whole = (tmp_path / "broken.png").read_bytes()
    (tmp_path / "broken.png").write_bytes(whole[: len(whole) // 2])
    known = seen(study)
    cases = [
        (("image", tmp_path / "nowhere.png"), 4, "nowhere.png"),
        (("image", tmp_path / "text.png"), 3, "not a readable picture"),
        (("image", tmp_path / "cut.png"), 3, "not a readable picture"),
        (("image", tmp_path / "broken.png"), 3, "not a readable picture"),
        (("image", tmp_path / "dot.png"), 3, "1x1"),
        (("image", tmp_path / "two"), 2, "explain set"),
        (("image", "where:category=face"), 2, "explain set"),
        (("image", "image:none"), 4, "'none'"),
        (("set", tmp_path / "empty"), 3, "no pictures"),
        (("set", tmp_path / "two", "--vs", tmp_path / "empty"), 3, "no pictures"),
        (("set", "where:category=unicorn"), 3, "finds no image"),
        (("set", "caption:unicorn"), 3, "finds no image"),
        (("set", "caption: "), 2, "no word"),
        (("set", "where:category"), 2, "KEY=VALUE"),
        (("set", "where:category=face,"), 2, "KEY=VALUE"),
        (("image", known, "--ask", "likes"), 2, "'likes'"),
        (("image", known, "--ask", ""), 2, "--ask"),
        (("image", known, "--subject", "subj09"), 2, "subj09"),
        (("image", known, "--space", "array:none"), 4, "array:none"),
        (("image", known, "--out", tmp_path / "x", "--anatomy", "moon"), 2, "'moon'"),
    ]
    for words, code, text in cases:
        kind, *rest = words
        asked = () if "--ask" in words else RESPONDS
        done = call_cli("explain", kind, study.store, study.run, *rest, *asked)
        assert (done.code, text in done.stderr) == (code, True), (words, done.stderr)
        told = [line for line in done.stderr.splitlines() if "encode pictures:" not in line]
        assert len(told) == 1 and not done.stdout, done.stderr
    assert not (tmp_path / "x").exists()


def test_pictures_of_any_mode_and_size_are_read(study: Study, tmp_path: Path) -> None:
    """Transparent, four inks, 16 bit, another size: each gives the picture's own areas."""
    picture = _picture(study)
    plain = mindeye("explain", "image", study.store, study.run, seen(study), *RESPONDS)
    wide = picture.resize((200, 200), Image.Resampling.NEAREST)
    modes = {
        "large.png": wide,
        "alpha.png": picture.convert("RGBA"),
        "cmyk.jpg": picture.convert("CMYK"),
        "deep.png": picture.convert("L").convert("I").point(lambda v: v * 256).convert("I;16"),
    }
    for name, image in modes.items():
        image.save(tmp_path / name)
        found = mindeye("explain", "image", study.store, study.run, tmp_path / name, *RESPONDS)
        assert set(found["rois"]) == set(plain["rois"]), name
        if name in ("large.png", "alpha.png"):
            assert next(iter(found["rois"])) == next(iter(plain["rois"]))
        if name == "alpha.png":
            assert found["rois"]["FFA-1"]["score"] == pytest.approx(
                plain["rois"]["FFA-1"]["score"], abs=1e-4
            )


def test_a_subject_without_coordinates_still_gets_numbers(
    study: Study, tmp_path: Path, call_cli: Callable
) -> None:
    """No map is drawn, and it is said what would give one."""
    made = copied(study, tmp_path)
    change_subject(made, _drop("ijk"), {"affine": None})
    made = Study(made.store, tmp_path / "new", made.nsd)
    ridge(made.store, made.run)
    words = ("explain", "image", made.store, made.run, seen(study), *RESPONDS)
    done = call_cli(*words, "--out", tmp_path / "out", "--json")
    assert done.code == 0 and done.json["rois"] and done.json["maps"] == []
    assert any("--mask" in text for text in done.json["warnings"])
    assert "--mask" in done.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"explanation.json", "asked-00.png"}
    drawn = call_cli(*words, "--out", tmp_path / "glass", "--standard", "--anatomy", "mni")
    assert drawn.code == 3 and "--mask" in drawn.stderr and not (tmp_path / "glass").exists()
    assert len(drawn.stderr.strip().splitlines()) == 1


def test_a_mask_that_is_not_the_subject_s_is_refused(
    study: Study, tmp_path: Path, call_cli: Callable
) -> None:
    other = np.zeros((5, 6, 7), dtype=np.int16)
    other[2:4, 2:4, 2:4] = 1
    nibabel.save(nibabel.Nifti1Image(other, np.eye(4)), tmp_path / "small.nii.gz")
    count = open_store(study.store).subject(SUBJECT).voxels.shape[1]
    flat = np.ones((count, 1, 1, 1, 2), dtype=np.int16)
    nibabel.save(nibabel.Nifti1Image(flat, np.eye(4)), tmp_path / "five.nii.gz")
    (tmp_path / "text.nii.gz").write_text("no volume")
    whole = (tmp_path / "small.nii.gz").read_bytes()
    (tmp_path / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (4, 4)).save(tmp_path / "picture.png")
    cases = [
        ("small.nii.gz", 3, f"8 voxels above 0, the subject has {count}"),
        ("five.nii.gz", 3, "voxels above 0"),
        ("text.nii.gz", 3, "not a NIfTI volume"),
        ("cut.nii.gz", 3, "not a NIfTI volume"),
        ("picture.png", 3, "not a NIfTI volume"),
        ("none.nii.gz", 4, "none.nii.gz"),
    ]
    for name, code, text in cases:
        words = (seen(study), *RESPONDS, "--out", tmp_path / "out", "--mask", tmp_path / name)
        done = call_cli("explain", "image", study.store, study.run, *words)
        assert (done.code, text in done.stderr) == (code, True), (name, done.stderr)
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert not (tmp_path / "out").exists()


def test_areas_that_are_empty_tiny_unnamed_or_named_twice(study: Study, tmp_path: Path) -> None:
    """No line for what the subject lacks; tiny ones told to be left out; numbers and atlases."""
    made = copied(study, tmp_path)

    def edit(arrays: dict[str, Any]) -> None:
        faces = arrays["roi/floc-faces"].copy()
        faces[faces == 1] = 0
        faces[np.flatnonzero(faces == 2)[2:]] = 0
        arrays["roi/floc-faces"] = faces

    labels = dict(open_store(study.store).subject(SUBJECT).attrs["roi_labels"])
    del labels["prf-visualrois"]
    labels["streams"] = labels["streams"] | {"1": "EBA"}
    change_subject(made, edit, {"roi_labels": labels})
    found = mindeye("explain", "image", made.store, made.run, seen(study), *RESPONDS)
    assert "OFA" not in found["rois"] and "OFA" not in found["skipped_areas"]
    assert "FFA-1" in found["skipped_areas"] and "FFA-2" in found["rois"]
    assert {"1", "7"} <= set(found["rois"]) and "V1v" not in found["rois"]
    assert {"floc-bodies:EBA", "streams:EBA"} <= set(found["rois"])
    assert "EBA" not in found["rois"]


def test_runs_and_stores_that_cannot_be_asked(
    study: Study, tmp_path: Path, call_cli: Callable
) -> None:
    small = ("fit.steps=20", "model.atoms=8", "model.k=2", "seeds=0")
    options = [word for text in small for word in ("--set", text)]
    mindeye("sae", "train", study.store, tmp_path / "sae", "--space", SPACE, *options)
    for store, run, code, text in (
        (study.store, tmp_path / "sae", 3, "sae run"),
        (study.store, tmp_path / "none", 4, "none"),
        (tmp_path / "none.zarr", study.run, 4, "none.zarr"),
    ):
        done = call_cli("explain", "image", store, run, seen(study))
        assert (done.code, text in done.stderr) == (code, True), done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("name", ["encoding.json", "encoding.safetensors", "refits.safetensors"])
def test_a_damaged_encoder_is_fitted_anew(
    study: Study, tmp_path: Path, call_cli: Callable, name: str
) -> None:
    """It is a cache: a warning, and the same numbers."""
    made = copied(study, tmp_path)
    whole = mindeye("explain", "image", made.store, made.run, seen(study), *RESPONDS)
    file = cache(made) / name
    file.write_bytes(file.read_bytes()[:-20])
    words = ("explain", "image", made.store, made.run, seen(study), *RESPONDS, "--json")
    done = call_cli(*words)
    assert done.code == 0 and done.json == whole
    assert len(done.stderr.strip().splitlines()) == 1 and "fitted anew" in done.stderr
    assert call_cli(*words).stderr == ""
