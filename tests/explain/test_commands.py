"""`mindeye explain` from store and run to areas, maps and pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from explain.conftest import SPACE, Study, mindeye
from PIL import Image

from mindeye_cli.core import trials
from mindeye_cli.core.checkpoint import load_tensors
from mindeye_cli.core.rois import list_areas
from mindeye_store import open_store

FACES = {"OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces"}
Faces = tuple[Path, dict[str, Any]]


def seen_and_held_out(study: Study) -> str:
    store = open_store(study.store)
    (row, *_) = trials.test_images_any_subject(store)
    return str(store.images.ids[row])


def picture(study: Study, path: Path, row: int) -> Path:
    Image.fromarray(open_store(study.store).images.read(np.array([row]))[0]).save(path)
    return path


def test_a_set_of_faces_names_a_face_area_and_every_answer_its_question(faces: Faces) -> None:
    _, printed = faces
    lines = printed["rois"]
    first = next(iter(lines))
    assert first in FACES and lines[first]["named"]
    assert printed["question"] == "responds"
    assert printed["used"]["question"] == "used by decoder"
    assert printed["needed"]["question"] == "needed by decoder"
    for line in lines.values():
        low, high = line["ci95"]
        assert low <= line["score"] <= high and 0 < line["q"] <= 1 and 0 < line["unusual"] <= 1
        assert not line["named"] or (line["q"] <= 0.05 and line["unusual"] <= 0.05)
    assert printed["coherence"]["value"] > printed["coherence"]["random"]
    assert printed["trials"]["source"] == "measured"


def test_what_the_decoder_uses_adds_up(faces: Faces) -> None:
    _, printed = faces
    used = printed["used"]
    assert used["missing"] <= 0.01
    parts = [line["shapley"]["value"] for line in used["rois"].values() if line["shapley"]]
    parts += [line["value"] for line in used["elsewhere"].values()]
    assert sum(parts) == pytest.approx(used["shapley_difference"], rel=1e-4)


def test_the_folder_holds_result_maps_and_pictures(study: Study, faces: Faces) -> None:
    out, printed = faces
    kept = json.loads((out / "explanation.json").read_text())
    assert kept["rois"] == printed["rois"]
    assert [out / name for name in kept["maps"]] == [Path(name) for name in printed["maps"]]
    subject = open_store(study.store).subject("subj01")
    roi = study.nsd / "nsddata/ppdata/subj01/func1pt8mm/roi/nsdgeneral.nii.gz"
    mask = nibabel.load(roi)
    for name in ("responds", "z", "used"):
        image = nibabel.load(out / f"{name}.nii.gz")
        assert image.shape == mask.shape
        np.testing.assert_allclose(image.affine, mask.affine)
        values = np.asarray(image.dataobj)
        places = np.zeros(image.shape, bool)
        places[tuple(subject.ijk.T)] = True
        assert np.isfinite(values[places]).all() and np.isnan(values[~places]).all()
        slices = np.asarray(Image.open(out / f"{name}.png").convert("RGB"))
        assert slices.std() > 5
    responds = np.asarray(nibabel.load(out / "responds.nii.gz").dataobj)[tuple(subject.ijk.T)]
    for area in list_areas(subject.rois):
        line = printed["rois"].get(area.name)
        if line is not None:
            assert line["score"] == pytest.approx(responds[area.voxels].mean(), abs=1e-5)
    asked = np.asarray(Image.open(out / "asked-00.png"))
    assert asked.std() > 5


def test_an_image_has_percentiles_among_the_references(study: Study) -> None:
    held_out = seen_and_held_out(study)
    done = mindeye("explain", "image", study.store, study.run, f"image:{held_out}")
    percentiles = [line["percentile"] for line in done["rois"].values()]
    deviations = [line["deviation"] for line in done["rois"].values()]
    assert all(0 <= p <= 100 for p in percentiles)
    assert deviations == sorted(deviations, reverse=True)
    store = open_store(study.store)
    test = trials.test_images_any_subject(store)
    assert done["references"] == len(test)
    (image,) = done["trials"]["images"]
    assert image["id"] == held_out and not image["trained_decoder"] and image["cosine"] > 0.999
    assert done["maps"] == []
    assert done["training"]["nearest_training"] in store.images.ids


def test_a_picture_of_the_store_is_known_and_another_uses_its_nearest(
    study: Study, tmp_path: Path
) -> None:
    store = open_store(study.store)
    row = int(trials.test_images_any_subject(store)[0])
    known = picture(study, tmp_path / "known.png", row)
    short = ("--ask", "needed")
    done = mindeye("explain", "image", study.store, study.run, known, *short)
    assert done["trials"]["source"] == "measured" and done["question"] == "needed by decoder"
    assert done["trials"]["images"][0]["id"] == store.images.ids[row]
    mixed = store.images.read(np.array([row, row + 1])).mean(axis=0).astype(np.uint8)
    Image.fromarray(mixed[::-1]).save(tmp_path / "new.png")
    done = mindeye("explain", "image", study.store, study.run, tmp_path / "new.png", *short)
    assert done["trials"]["source"] == "nearest seen"
    images = done["trials"]["images"]
    assert len(images) == 5 and not any(image["trained_decoder"] for image in images)
    assert any(images[0]["id"] in text for text in done["warnings"])
    done = mindeye(
        "explain", "image", study.store, study.run, tmp_path / "new.png", *short, "--predicted"
    )
    assert done["needed"]["question"] == "needed by decoder (model of a model)"
    assert done["trials"] == {"source": "model of a model", "images": []}


def test_queries_choose_by_caption_and_record(study: Study) -> None:
    store = open_store(study.store)
    captions, records = store.images.captions, store.images.records
    assert captions is not None and records is not None
    short = ("--ask", "responds")
    done = mindeye("explain", "set", study.store, study.run, "caption:face", *short)
    assert done["n"] == sum("face" in text.replace(",", " ").split() for text in captions)
    query = "where:objects.0.category=house"
    done = mindeye("explain", "set", study.store, study.run, query, *short)
    assert done["n"] == sum(r["objects"][0]["category"] == "house" for r in records)
    against = mindeye(
        "explain", "set", study.store, study.run, query, "--vs", "caption:face", *short
    )
    assert against["against"] == "caption:face"
    scores = {name: line["score"] for name, line in against["rois"].items()}
    assert scores["PPA"] > 0 and scores["PPA"] > max(scores[name] for name in FACES & set(scores))


def test_the_encoder_is_kept_and_fitted_again_for_other_targets(
    study: Study, tmp_path: Path
) -> None:
    copy = study.copy(tmp_path)
    what = ("explain", "image", copy.store, copy.run, f"image:{seen_and_held_out(study)}")
    first = mindeye(*what, "--ask", "responds")
    folder = copy.run / "explain" / f"subj01-{SPACE.replace(':', '-')}"
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert mindeye(*what, "--ask", "responds")["rois"] == first["rois"]
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == before
    assert mindeye(*what, "--ask", "responds", "--seed", 1)["rois"] != first["rois"]


def test_nothing_of_a_test_image_reaches_the_encoder(tmp_path: Path) -> None:
    """Other test images with other responses: the same fit, byte for byte."""
    data = tmp_path / "data"
    sizes = ("--images", 80, "--test", 20, "--voxels", 150)
    mindeye("simulate", data, "--layout", "arrays", *sizes)
    table = [line.split(",") for line in (data / "trials.csv").read_text().split()]
    split, image = table[0].index("split"), table[0].index("image")
    test = np.array([line[split] == "test" for line in table[1:]])
    assert 0 < test.sum() < len(test)
    fits = []
    for number in range(2):
        if number:
            voxels = np.load(data / "voxels.npy")
            voxels[test] = np.random.default_rng(0).standard_normal(voxels[test].shape)
            np.save(data / "voxels.npy", voxels)
            images = np.load(data / "images.npy")
            rows = {int(line[image]) for line in np.array(table[1:])[test]}
            images[sorted(rows)] = 255 - images[sorted(rows)]
            np.save(data / "images.npy", images)
        store, run = tmp_path / f"{number}.zarr", tmp_path / f"run{number}"
        mindeye("prepare", "arrays", data, store, "--subject", "me")
        mindeye("prepare", "targets", store, "--space", SPACE)
        ridge = ("--space", SPACE, "--set", "inner_folds=5", "--set", "alpha=shared")
        mindeye("train", "ridge", store, run, "--subject", "me", *ridge)
        mindeye("explain", "image", store, run, "image:0", "--ask", "responds")
        fits.append(load_tensors(run / "explain" / "me-scene-clip-pooled" / "encoding.safetensors"))
    for name, values in fits[0].items():
        np.testing.assert_array_equal(values.numpy(), fits[1][name].numpy())


def test_the_same_command_has_nothing_to_do(
    study: Study, tmp_path: Path, call_cli: Callable
) -> None:
    out = tmp_path / "out"
    what = ("explain", "image", study.store, study.run, f"image:{seen_and_held_out(study)}")
    options = ("--ask", "responds", "--out", out)
    first = mindeye(*what, *options)
    written = {file: file.read_bytes() for file in out.iterdir()}
    again = mindeye(*what, *options)
    assert again["status"] == "notneeded" and again["rois"] == first["rois"]
    other = call_cli(*what, *options, "--seed", "1")
    assert other.code == 2 and "--overwrite" in other.stderr
    assert {file: file.read_bytes() for file in out.iterdir()} == written
    mindeye(*what, *options, "--overwrite")
    assert {file: file.read_bytes() for file in out.iterdir()} == written


def test_a_planted_area_comes_first_in_the_volume(faces: Faces, study: Study) -> None:
    """The largest values of the map lie in the areas that the simulator drives by faces."""
    out, _ = faces
    subject = open_store(study.store).subject("subj01")
    values = np.asarray(nibabel.load(out / "z.nii.gz").dataobj)[tuple(subject.ijk.T)]
    inside = np.zeros(len(values), bool)
    for area in list_areas(subject.rois):
        if area.name in FACES:
            inside |= area.voxels
    top = np.argsort(-values)[: inside.sum() // 2]
    assert inside[top].mean() > 0.8
