"""`prepare arrays` on the bring-your-own layout."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from PIL import Image
from prepare.arrays_fixture import (
    N_IMAGES,
    N_VOXELS,
    stored,
    trial_rows,
    write_folder,
    write_trials,
)

from mindeye_cli.prepare.arrays.run import ArraysOptions, prepare_arrays
from mindeye_store import (
    InvalidInput,
    Subject,
    open_store,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path)


def all_voxels(subject: Subject) -> np.ndarray:
    return subject.voxels.read(np.arange(len(subject.voxels)))


def test_voxels_trials_and_metadata(folder: Path) -> None:
    subject, rows = stored(folder), trial_rows()
    values = np.load(folder / "voxels.npy").astype(np.float64)
    test = np.array([row["split"] == "test" for row in rows])
    for session in (1, 2):
        own = np.array([row["session"] == session for row in rows])
        expected = scipy.stats.zmap(values[own], values[own & ~test], axis=0)
        np.testing.assert_allclose(all_voxels(subject)[own], expected, atol=1e-5)
    assert np.array_equal(subject.image_index, [row["image"] for row in rows])
    assert np.array_equal(subject.split, test)
    assert np.array_equal(subject.ijk[:, 1], 2 * np.arange(N_VOXELS))
    assert subject.rois["area"].names == {1: "V1", 2: "V2"}
    assert np.array_equal(subject.rois["area"].labels, np.resize([1, 2, 0], N_VOXELS))
    assert np.array_equal(subject.rois["number"].labels, np.resize([-1, 0, 1], N_VOXELS))
    np.testing.assert_allclose(subject.column("ncsnr_file"), np.arange(N_VOXELS) / 10)
    images = open_store(folder.parent / "s.zarr").images
    assert np.array_equal(images.read(np.arange(N_IMAGES)), np.load(folder / "images.npy"))
    assert images.captions is None


def test_responses_may_be_kept_as_they_are(folder: Path) -> None:
    subject = stored(folder, zscore="none")
    assert np.array_equal(all_voxels(subject), np.load(folder / "voxels.npy"))
    assert subject.ncsnr is not None


def test_deleting_the_test_rows_changes_no_training_array(folder: Path, tmp_path: Path) -> None:
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
        for file in ("images.npy", "voxels.csv"):
            (tmp_path / name / "data").mkdir(exist_ok=True)
            (tmp_path / name / "data" / file).write_bytes((folder / file).read_bytes())
    rows, values = trial_rows(), np.load(folder / "voxels.npy")
    kept = np.array([row["split"] == "train" for row in rows])
    values[~kept] *= 100
    np.save(tmp_path / "with/data/voxels.npy", values)
    np.save(tmp_path / "without/data/voxels.npy", values[kept])
    write_trials(tmp_path / "with/data", rows)
    write_trials(
        tmp_path / "without/data", [row for row, keep in zip(rows, kept, strict=True) if keep]
    )
    whole, cut = stored(tmp_path / "with/data"), stored(tmp_path / "without/data")
    assert np.array_equal(all_voxels(whole)[kept], all_voxels(cut))
    for column in ("image_index", "session", "run", "repeat", "split"):
        assert np.array_equal(whole.column(column)[kept], cut.column(column))
    for column in ("ncsnr", "ijk", "roi/area"):
        assert np.array_equal(whole.column(column), cut.column(column))


def test_picture_files_training_first(folder: Path) -> None:
    pixels = np.load(folder / "images.npy")
    (folder / "images.npy").unlink()
    (folder / "images").mkdir()
    for row in range(N_IMAGES):
        Image.fromarray(pixels[row]).save(folder / "images" / f"p{9 - row}.png")
    rows = [row | {"image": f"p{9 - row['image']}.png"} for row in trial_rows()]
    write_trials(folder, rows)
    (folder / "scenes.jsonl").write_text('{"image": "p0.png", "caption": "one"}\n')
    subject = stored(folder)
    images = open_store(folder.parent / "s.zarr").images
    assert images.ids == [f"p{n}.png" for n in (3, 4, 5, 6, 7, 8, 9, 0, 1, 2)]
    shown = [row["image"] for row in trial_rows()]
    assert np.array_equal(images.read(subject.image_index), pixels[shown])
    assert images.captions[7] == "one"


def test_sizes_are_unified_only_on_request(folder: Path) -> None:
    (folder / "images.npy").unlink()
    (folder / "images").mkdir()
    for row in range(N_IMAGES):
        shape = (8, 8, 3) if row else (10, 20, 3)
        Image.fromarray(np.full(shape, 20 * row, np.uint8)).save(folder / f"images/{row}.png")
    write_trials(folder, [row | {"image": f"{row['image']}.png"} for row in trial_rows()])
    with pytest.raises(InvalidInput, match=r"8x8 but 0.png is 20x10.*--image-size"):
        stored(folder)
    stored(folder, image_size=8)
    images = open_store(folder.parent / "s.zarr").images
    assert images.shape == (N_IMAGES, 8, 8, 3)
    assert (images.read([0]) == 0).all()


def test_grey_pictures_get_three_channels(folder: Path) -> None:
    grey = np.random.default_rng(2).integers(0, 256, (N_IMAGES, 5, 5), dtype=np.uint8)
    np.save(folder / "images.npy", grey)
    stored(folder)
    images = open_store(folder.parent / "s.zarr").images
    assert np.array_equal(images.read(np.arange(N_IMAGES)), np.stack([grey] * 3, axis=-1))


def test_leaks_are_counted_and_warned_of(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = trial_rows()
    for row in rows[:20]:
        row["split"] = "train"
    write_trials(folder, rows)
    pixels = np.load(folder / "images.npy")
    pixels[9] = pixels[0]  # the same picture under two names
    np.save(folder / "images.npy", pixels)
    train = {row["image"] for row in rows if row["split"] == "train"}
    test = {row["image"] for row in rows if row["split"] == "test"}
    expected = len({0 if image == 9 else image for image in test} & (train | {0}))
    store = folder.parent / "s.zarr"
    with caplog.at_level(logging.WARNING, logger="mindeye"):
        outcome = prepare_arrays(ArraysOptions(folder=folder, store=store, subject="me"))
    assert outcome.values["leaked_images"] == expected > 1
    assert f"{expected} of {len(test)} test images" in caplog.text


def test_the_real_data_set(shared_dir: Path, tmp_path: Path) -> None:
    store, source = tmp_path / "s.zarr", shared_dir / "data/miyawaki"
    outcome = prepare_arrays(ArraysOptions(folder=source, store=store, subject="miyawaki"))
    assert outcome.values["n_voxels"] == 967
    assert outcome.values["splits"]["test"]["images"] == 5
    assert outcome.values["leaked_images"] == 0
    with (source / "trials.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    subject = open_store(store).subject("miyawaki")
    shown = np.load(source / "images.npy")[[int(row["image"]) for row in rows]]
    pixels = open_store(store).images.read(subject.image_index)
    assert np.array_equal(pixels[..., 1], shown)
    test = np.array([row["split"] == "test" for row in rows])
    values = np.load(source / "voxels.npy").astype(np.float64)
    expected = scipy.stats.zmap(values, values[~test], axis=0)
    np.testing.assert_allclose(all_voxels(subject), expected, atol=1e-4)


def test_two_subjects_share_pictures_and_a_clash_is_refused(folder: Path) -> None:
    store = folder.parent / "s.zarr"
    for name in ("a", "b"):
        prepare_arrays(ArraysOptions(folder=folder, store=store, subject=name))
    assert open_store(store).images.n == N_IMAGES
    np.save(folder / "images.npy", 255 - np.load(folder / "images.npy"))
    with pytest.raises(InvalidInput, match="other pixels"):
        prepare_arrays(ArraysOptions(folder=folder, store=store, subject="c"))
    assert open_store(store).subjects == ["a", "b"]
