"""What `mindeye explain --out` leaves, on the disk and when it is asked for again."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from explain.conftest import Study, mindeye
from explain.copies import SUBJECT, change_subject, copied, ridge, seen, seen_row
from PIL import Image

from mindeye_store import open_store

FACES = "where:objects.0.category=face"
Written = tuple[Path, dict[str, Any]]


def _not_blank(path: Path) -> bool:
    with Image.open(path) as picture:
        return float(np.asarray(picture.convert("RGB"), dtype=float).std()) > 5


def test_the_folder_holds_result_maps_and_pictures(study: Study, faces: Written) -> None:
    out, found = faces
    names = {"responds", "z", "used"}
    maps = {f"{name}.{end}" for name in names for end in ("nii.gz", "png")}
    shown = {f"asked-{k:02d}.png" for k in range(24)}
    assert {path.name for path in out.iterdir()} == {"explanation.json", *maps, *shown}
    assert set(map(Path, found["maps"])) == {out / name for name in maps}
    assert set(map(Path, found["outputs"])) == {out / name for name in (*maps, "explanation.json")}
    for name in (*shown, "responds.png", "z.png", "used.png"):
        assert _not_blank(out / name), name
    record = json.loads((out / "explanation.json").read_text())
    assert record["rois"] == found["rois"] and record["question"] == "responds"
    assert len(record["names"]) == found["n"] and "names" not in found
    assert "fingerprint" not in found and len(record["fingerprint"]) == 64


def test_asked_pictures_are_the_images(study: Study, tmp_path: Path) -> None:
    words = ("--ask", "responds", "--out", tmp_path / "one")
    mindeye("explain", "image", study.store, study.run, seen(study), *words)
    store = open_store(study.store)
    with Image.open(tmp_path / "one" / "asked-00.png") as picture:
        np.testing.assert_array_equal(
            np.asarray(picture),
            store.images.read([seen_row(study)])[0],
        )


def test_volumes_lie_where_the_mask_does(study: Study, faces: Written) -> None:
    """Affine and shape of the simulated mask file; nothing outside; values by independent means."""
    out, found = faces
    space = study.nsd / "nsddata/ppdata/subj01/func1pt8mm/roi"
    mask = nibabel.load(space / "nsdgeneral.nii.gz")
    labels = np.asarray(nibabel.load(space / "floc-faces.nii.gz").dataobj)
    subject = open_store(study.store).subject(SUBJECT)
    kept = np.zeros(mask.shape, dtype=bool)
    kept[tuple(subject.ijk.T)] = True
    for name in ("responds", "z", "used"):
        image = nibabel.load(out / f"{name}.nii.gz")
        assert image.shape == mask.shape
        np.testing.assert_allclose(image.affine, mask.affine)
        values = np.asarray(image.dataobj)
        np.testing.assert_array_equal(np.isfinite(values), kept)
        assert not np.isfinite(values[np.asarray(mask.dataobj) <= 0]).any()
    values = np.asarray(nibabel.load(out / "responds.nii.gz").dataobj)
    area = np.nanmean(values[labels == 2])
    assert area == pytest.approx(found["rois"]["FFA-1"]["score"], abs=1e-5)
    used = np.asarray(nibabel.load(out / "used.nii.gz").dataobj)
    share = found["used"]["rois"]["FFA-1"]["share"]
    assert np.nansum(used[labels == 2]) == pytest.approx(share, abs=1e-5)


def test_the_same_again_is_not_needed(study: Study, faces: Written, call_cli: Callable) -> None:
    out, found = faces
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    words = ("explain", "set", study.store, study.run, FACES, "--out", out, "--json")
    again = call_cli(*words).json
    assert again.pop("status") == "notneeded"
    assert again == {key: value for key, value in found.items() if key != "status"}
    assert before == {path.name: path.stat().st_mtime_ns for path in out.iterdir()}


@pytest.mark.parametrize(
    "other",
    [
        ("set", FACES, "--ask", "responds"),
        ("set", FACES, "--vs", "where:category=house"),
        ("set", FACES, "--seed", "1"),
        ("image", "an image"),
    ],
)
def test_another_question_does_not_take_its_place(
    study: Study,
    faces: Written,
    call_cli: Callable,
    tmp_path: Path,
    other: tuple[str, ...],
) -> None:
    if "--seed" in other:  # the seed is part of the encoder's key, which others share
        study = copied(study, tmp_path)
    asked = seen(study) if other[1] == "an image" else other[1]
    words = ("explain", other[0], study.store, study.run, asked, *other[2:], "--out", faces[0])
    done = call_cli(*words)
    assert done.code == 2 and "--overwrite" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_image_and_set_of_the_same_picture_differ(
    study: Study, call_cli: Callable, tmp_path: Path
) -> None:
    words = (study.store, study.run, seen(study), "--ask", "responds", "--out", tmp_path / "x")
    assert call_cli("explain", "image", *words).code == 0
    assert call_cli("explain", "set", *words).code == 2
    replaced = call_cli("explain", "set", *words, "--overwrite", "--json")
    assert replaced.code == 0 and "coherence" in replaced.json


def test_equal_commands_write_equal_bytes(study: Study, tmp_path: Path) -> None:
    for name in "ab":
        words = ("--ask", "responds,needed", "--out", tmp_path / name)
        mindeye("explain", "image", study.store, study.run, seen(study), *words)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert "responds.nii.gz" in files and "needed.nii.gz" not in files
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_without_captum_every_number_comes(
    study: Study, call_cli: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "captum", None)
    done = call_cli("explain", "image", study.store, study.run, seen(study), "--json")
    assert done.code == 0 and done.json["used"]["rois"] and done.json["needed"]["rois"]


def test_voxels_of_low_signal_are_greyed(study: Study, tmp_path: Path) -> None:
    """Greyed share against the noise-ceiling formula with the training trials' counts."""
    found = mindeye("explain", "image", study.store, study.run, seen(study), "--ask", "needed")
    subject = open_store(study.store).subject(SUBJECT)
    train = subject.image_index[subject.split == 0]
    counts = np.unique(train, return_counts=True)[1]
    square = subject.ncsnr.astype(np.float64) ** 2
    share = square / (square + (1 / counts).mean())
    assert found["signal"]["greyed"] == pytest.approx((share < 0.05).mean())
    assert found["signal"]["noise_ceiling"] == pytest.approx((square / (square + 1)).mean())
    low = copied(study, tmp_path)

    def weaken(arrays: dict[str, Any]) -> None:
        arrays["ncsnr"] = (arrays["ncsnr"] * 0.1).astype(np.float32)

    change_subject(low, weaken)
    said = mindeye("explain", "image", low.store, low.run, seen(study), "--ask", "responds")
    assert said["signal"]["noise_ceiling"] < 0.05
    assert any("low signal" in text for text in said["warnings"])


def test_vertices_are_drawn_on_the_surface(
    study: Study, tmp_path: Path, call_cli: Callable
) -> None:
    """A store of fsaverage has vertices and no affine: maps are rows, one value a vertex."""
    pytest.importorskip("nilearn.plotting")
    flat = copied(study, tmp_path)

    def unfold(arrays: dict[str, Any]) -> None:
        number = np.arange(len(arrays["ijk"]))
        arrays["ijk"] = np.stack([number // 2, number % 2, 0 * number], axis=1).astype(np.int16)

    facts = {"space": "fsaverage", "affine": None, "volume_shape": [163842, 2, 1]}
    change_subject(flat, unfold, facts)
    run = tmp_path / "new"
    ridge(flat.store, run)
    words = ("--ask", "responds", "--out", tmp_path / "x", "--standard")
    found = mindeye("explain", "image", flat.store, run, seen(study), *words)
    assert {Path(name).name for name in found["maps"]} == {"responds.npy", "surface.html"}
    values = np.load(tmp_path / "x" / "responds.npy")
    subject = open_store(flat.store).subject(SUBJECT)
    area = values[subject.rois["floc-faces"].labels == 2].mean()
    assert area == pytest.approx(found["rois"]["FFA-1"]["score"], abs=1e-5)
    # A volume that is declared to be a surface would be painted anywhere.
    words = (seen(study), "--ask", "responds", "--out", tmp_path / "y", "--anatomy", "fsaverage")
    done = call_cli("explain", "image", study.store, study.run, *words)
    assert done.code == 3 and "those of a volume" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and not (tmp_path / "y").exists()
