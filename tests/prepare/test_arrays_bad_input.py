"""`prepare arrays` on damaged folders: one line, the right class, the store unchanged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prepare.arrays_fixture import (
    N_IMAGES,
    stored,
    trial_rows,
    write_folder,
    write_trials,
)
from prepare.files import edit, tree

from mindeye_cli.prepare.arrays.run import ArraysOptions, prepare_arrays
from mindeye_store import (
    InvalidInput,
    MindeyeError,
    MissingResource,
    UsageProblem,
    create_store,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path)


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
