"""`prepare arrays` on the bring-your-own layout."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from PIL import Image
from prepare.test_nsd_bad_input import edit, tree

from mindeye_cli.prepare.arrays.run import ArraysOptions, prepare_arrays
from mindeye_store import (
    InvalidInput,
    MindeyeError,
    MissingResource,
    Subject,
    UsageProblem,
    create_store,
    open_store,
)

N_TRIALS, N_VOXELS, N_IMAGES = 40, 12, 10


def write_trials(folder: Path, rows: list[dict[str, Any]]) -> None:
    with (folder / "trials.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def trial_rows() -> list[dict[str, Any]]:
    """Trials of two sessions; images 7, 8 and 9 are for testing."""
    images = np.random.default_rng(1).permutation(np.resize(np.arange(N_IMAGES), N_TRIALS))
    return [
        {"image": int(image), "split": "test" if image > 6 else "train", "session": 1 + trial // 20}
        for trial, image in enumerate(images)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Voxels, trials, pictures and voxel metadata."""
    folder, random = tmp_path / "data", np.random.default_rng(0)
    folder.mkdir()
    rows = trial_rows()
    signal = random.normal(size=(N_IMAGES, N_VOXELS))
    values = signal[[row["image"] for row in rows]] + random.normal(size=(N_TRIALS, N_VOXELS))
    np.save(folder / "voxels.npy", values.astype(np.float32))
    np.save(folder / "images.npy", random.integers(0, 256, (N_IMAGES, 6, 8, 3), dtype=np.uint8))
    write_trials(folder, rows)
    lines = ["x,y,z,area,number,ncsnr"]
    for voxel in range(N_VOXELS):
        area = ("V1", "V2", "")[voxel % 3]
        lines.append(f"{voxel},{2 * voxel},1,{area},{voxel % 3 - 1},{voxel / 10}")
    (folder / "voxels.csv").write_text("\n".join(lines) + "\n")
    return folder


def stored(folder: Path, **changes: Any) -> Subject:
    store = folder.parent / "s.zarr"
    prepare_arrays(ArraysOptions(folder=folder, store=store, subject="me", **changes))
    return open_store(store).subject("me")


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


def save(name: str, values: np.ndarray) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / name, values)


def cut(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:150])


def drop(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def replace(name: str, old: str, new: str) -> Callable[[Path], None]:
    return lambda folder: edit(folder / name, old, new)


def cell(row: int, column: str, value: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        rows = trial_rows()
        rows[row][column] = value
        write_trials(folder, rows)

    return change


def pickled(folder: Path) -> None:
    np.save(folder / "voxels.npy", np.array([[{}]], dtype=object), allow_pickle=True)


def nan_columns(folder: Path) -> None:
    values = np.load(folder / "voxels.npy")
    values[3, 5] = np.nan
    np.save(folder / "voxels.npy", values)


def both_pictures(folder: Path) -> None:
    (folder / "images").mkdir()


def damaged_picture(folder: Path) -> None:
    (folder / "images.npy").unlink()
    (folder / "images").mkdir()
    for row in range(N_IMAGES):
        noise = np.random.default_rng(row).integers(0, 256, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"images/{row}.png")
    path = folder / "images/3.png"
    path.write_bytes(path.read_bytes()[:120])
    write_trials(folder, [row | {"image": f"{row['image']}.png"} for row in trial_rows()])


def no_picture_file(folder: Path) -> None:
    damaged_picture(folder)
    (folder / "images/3.png").write_text("text")


def outside_picture(folder: Path) -> None:
    damaged_picture(folder)
    edit(folder / "trials.csv", "5.png", "../voxels.csv")


F32 = np.float32
CASES: list[tuple[str, Callable[[Path], None], type[MindeyeError], str]] = [
    ("no voxels", drop("voxels.npy"), MissingResource, "voxels.npy"),
    ("no trials", drop("trials.csv"), MissingResource, "trials.csv"),
    ("no pictures", drop("images.npy"), MissingResource, "images.npy"),
    ("both pictures", both_pictures, InvalidInput, "both"),
    ("cut voxels", cut("voxels.npy"), InvalidInput, "voxels.npy"),
    ("cut pictures", cut("images.npy"), InvalidInput, "images.npy"),
    ("pickle", pickled, InvalidInput, "voxels.npy"),
    ("flat", save("voxels.npy", np.zeros(40, F32)), InvalidInput, "shape (40,)"),
    ("integers", save("voxels.npy", np.zeros((40, 3), int)), InvalidInput, "int64"),
    ("rows", save("voxels.npy", np.ones((39, 3), F32)), InvalidInput, "40 trials"),
    ("nan", nan_columns, InvalidInput, "not finite (1)"),
    ("picture type", save("images.npy", np.zeros((10, 4, 4))), InvalidInput, "float64"),
    ("picture axes", save("images.npy", np.zeros((10, 3, 4, 4), np.uint8)), InvalidInput, "(10, 3"),
    ("few pictures", save("images.npy", np.zeros((9, 4, 4), np.uint8)), InvalidInput, "9 rows"),
    ("unknown column", replace("trials.csv", "session", "sesion"), InvalidInput, "'session'?"),
    ("missing column", replace("trials.csv", "split", "spl"), InvalidInput, "'split' is missing"),
    ("split", cell(4, "split", "val"), InvalidInput, "row 6, column split"),
    ("image text", cell(0, "image", "cat.png"), InvalidInput, "row 2, column image"),
    ("image range", cell(9, "image", 77), InvalidInput, "77 is out of range"),
    ("image negative", cell(9, "image", -1), InvalidInput, "row 11"),
    ("session", cell(3, "session", "x"), InvalidInput, "column session"),
    ("session range", cell(3, "session", 40000), InvalidInput, "40000"),
    ("lone session", cell(3, "session", 9), InvalidInput, "session 9"),
    ("voxel rows", replace("voxels.csv", "11,22,1,,1,1.1\n", ""), InvalidInput, "11 rows"),
    ("voxel axis", replace("voxels.csv", "x,y,z", "x,y,w"), InvalidInput, "only x, y"),
    ("voxel cell", replace("voxels.csv", "3,6,1", "3,6.5,1"), InvalidInput, "row 5, column y"),
    ("voxel range", replace("voxels.csv", "3,6,1", "3,60000,1"), InvalidInput, "60000"),
    ("ncsnr", replace("voxels.csv", "0.3", "nan"), InvalidInput, "column ncsnr"),
    ("ncsnr text", replace("voxels.csv", "0.3", "high"), InvalidInput, "'high'"),
    ("atlas name", replace("voxels.csv", "area", "a/b"), InvalidInput, "'a/b'"),
    ("twice", replace("voxels.csv", "number", "area"), InvalidInput, "twice"),
    ("damaged picture", damaged_picture, InvalidInput, "3.png"),
    ("no picture", no_picture_file, InvalidInput, "3.png"),
    ("outside picture", outside_picture, InvalidInput, "../voxels.csv"),
]


@pytest.mark.parametrize(
    ("breaks", "kind", "says"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_one_line_and_an_unchanged_store(
    folder: Path, breaks: Callable[[Path], None], kind: type[MindeyeError], says: str
) -> None:
    breaks(folder)
    store = folder.parent / "s.zarr"
    create_store(store)
    before = tree(store)
    with pytest.raises(kind) as caught:
        stored(folder)
    assert type(caught.value) is kind
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)
    assert tree(store) == before


def test_names_and_sizes_are_checked(folder: Path) -> None:
    store = folder.parent / "s.zarr"
    with pytest.raises(UsageProblem, match="cannot name a subject"):
        prepare_arrays(ArraysOptions(folder=folder, store=store, subject="a/b"))
    with pytest.raises(UsageProblem, match="at least 1"):
        stored(folder, image_size=0)
    with pytest.raises(MissingResource, match="no such folder"):
        stored(folder / "none")
