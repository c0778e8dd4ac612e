"""What `mindeye explain` cannot answer: one line, the right exit code, and what still works."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from explain.conftest import SPACE, Study, mindeye
from PIL import Image

from mindeye_cli.models.attribution import gradients
from mindeye_store import open_store

ONLY = ("--ask", "responds")


@contextmanager
def without(package: str) -> Iterator[None]:
    """As if a package were not installed."""
    taken = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(package)}
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.modules.pop(package)
        sys.modules.update(taken)


def image(study: Study) -> str:
    return f"image:{open_store(study.store).images.ids[0]}"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of responses and images alone: no places, areas, noise ceilings or captions."""
    folder = tmp_path_factory.mktemp("bare")
    made = Study(folder / "store.zarr", folder / "run", folder / "data")
    sizes = ("--images", 60, "--test", 25, "--voxels", 120)
    mindeye("simulate", made.nsd, "--layout", "arrays", *sizes)
    (made.nsd / "voxels.csv").unlink()
    (made.nsd / "scenes.jsonl").unlink()
    mindeye("prepare", "arrays", made.nsd, made.store, "--subject", "me")
    mindeye("prepare", "targets", made.store, "--space", SPACE)
    ridge = ("--set", "inner_folds=5", "--set", "alpha=shared")
    mindeye("train", "ridge", made.store, made.run, "--subject", "me", "--space", SPACE, *ridge)
    return made


def test_questions_and_options(study: Study, call_cli: Callable) -> None:
    what = ("explain", "image", study.store, study.run, image(study))
    for options, words in (
        (("--ask", "respond"), "'respond' is no question"),
        (("--ask", ","), "is no question"),
        (("--standard",), "--out DIR"),
    ):
        done = call_cli(*what, *options)
        assert done.code == 2 and words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_what_cannot_be_found_or_read(study: Study, tmp_path: Path, call_cli: Callable) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("not a picture")
    Image.new("RGB", (40, 30), "red").save(tmp_path / "one.png")
    folder = tmp_path / "two"
    folder.mkdir()
    for name in "ab":
        Image.new("RGB", (64, 64), "red").save(folder / f"{name}.png")
    cases = (
        ("image:nothing", 4, "no image 'nothing'"),
        (str(tmp_path / "absent.png"), 4, "absent.png"),
        (str(tmp_path / "empty"), 3, "empty"),
        (str(tmp_path / "text.png"), 3, "text.png"),
        (str(folder), 2, "explain set"),
        ("caption:zebra", 3, "finds no image"),
        ("where:color", 2, "KEY=VALUE"),
        ("where:category=zebra", 3, "finds no image"),
    )
    for text, code, words in cases:
        done = call_cli("explain", "image", study.store, study.run, text, *ONLY)
        assert done.code == code and words in done.stderr, (text, done.stderr)
        assert len(done.stderr.strip().splitlines()) == 1


def test_pictures_of_other_modes_and_sizes_are_read(study: Study, tmp_path: Path) -> None:
    """Grey, palette and wide pictures become what the encoder takes."""
    colours = open_store(study.store).images.read(np.array([0]))[0]
    large = Image.fromarray(colours).resize((90, 60))
    for mode in ("L", "P", "RGB"):
        file = tmp_path / f"{mode}.png"
        large.convert(mode).save(file)
        done = mindeye("explain", "image", study.store, study.run, file, *ONLY)
        assert all(np.isfinite(line["score"]) for line in done["rois"].values())


def test_a_set_of_one_is_warned_of(study: Study, tmp_path: Path) -> None:
    done = mindeye("explain", "set", study.store, study.run, image(study), *ONLY)
    assert done["n"] == 1 and any("a set of one image" in text for text in done["warnings"])
    assert done["coherence"]["value"] is None


def test_without_areas_it_says_what_still_works(bare: Study, call_cli: Callable) -> None:
    done = call_cli("explain", "image", bare.store, bare.run, image(bare))
    assert done.code == 3 and "no ROI labels" in done.stderr
    assert "mindeye sae map, retrieve and reconstruct" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_queries_need_captions_and_records(bare: Study, tmp_path: Path, call_cli: Callable) -> None:
    store, run = label(bare, tmp_path)
    for query, words in (("caption:face", "no captions"), ("where:a=b", "no records")):
        done = call_cli("explain", "set", store, run, query)
        assert done.code == 3 and words in done.stderr, done.stderr


def label(bare: Study, folder: Path) -> tuple[Path, Path]:
    """The bare study with an area of 40 voxels and one of two."""
    data = folder / "data"
    data.mkdir()
    for file in ("voxels.npy", "trials.csv", "images.npy"):
        (data / file).symlink_to(bare.nsd / file)
    names = ["V1" if k < 40 else "tiny" if k < 42 else "" for k in range(120)]
    (data / "voxels.csv").write_text(
        "\n".join(["area,none", *(f"{name}," for name in names)]) + "\n"
    )
    store, run = folder / "store.zarr", folder / "run"
    mindeye("prepare", "arrays", data, store, "--subject", "me", "--max-invalid", 0.2)
    mindeye("prepare", "targets", store, "--space", SPACE)
    ridge = ("--set", "inner_folds=5", "--set", "alpha=shared")
    mindeye("train", "ridge", store, run, "--subject", "me", "--space", SPACE, *ridge)
    return store, run


def test_without_places_numbers_come_and_a_mask_helps(
    bare: Study, tmp_path: Path, call_cli: Callable
) -> None:
    store, run = label(bare, tmp_path)
    what = ("explain", "image", store, run, image(bare), *ONLY)
    out = tmp_path / "out"
    done = mindeye(*what, "--out", out)
    assert done["maps"] == [] and list(done["rois"]) == ["V1"]
    assert done["skipped_areas"] == ["tiny"]
    assert any("--mask" in text for text in done["warnings"])
    count = open_store(store).subject("me").voxels.shape[1]
    volume = np.zeros((6, 5, 5), np.int16)
    volume.ravel()[:count] = 1
    affine = np.diag([1.8, 1.8, 1.8, 1.0])
    nibabel.save(nibabel.Nifti1Image(volume, affine), tmp_path / "mask.nii.gz")
    done = mindeye(*what, "--out", out, "--mask", tmp_path / "mask.nii.gz", "--overwrite")
    found = nibabel.load(out / "responds.nii.gz")
    np.testing.assert_array_equal(np.isfinite(np.asarray(found.dataobj)), volume > 0)
    np.testing.assert_allclose(found.affine, affine)
    volume[5, 4, 4] = volume[0, 0, 0] = 0
    nibabel.save(nibabel.Nifti1Image(volume, affine), tmp_path / "other.nii.gz")
    (tmp_path / "text.nii").write_text("no volume")
    for mask, words in (("other.nii.gz", "voxels above 0"), ("text.nii", "not a NIfTI volume")):
        done = call_cli(*what, "--out", tmp_path / "no", "--mask", tmp_path / mask)
        assert done.code == 3 and words in done.stderr and not (tmp_path / "no").exists()


def test_standard_brains_are_refused_to_native_data(
    study: Study, tmp_path: Path, call_cli: Callable
) -> None:
    out = tmp_path / "out"
    what = ("explain", "image", study.store, study.run, image(study), *ONLY, "--out", out)
    done = call_cli(*what, "--standard")
    assert done.code == 3 and "own space" in done.stderr and not out.exists()
    done = call_cli(*what, "--anatomy", "talairach")
    assert done.code == 2 and "talairach" in done.stderr


def test_without_nilearn_all_but_standard_brains_come(
    study: Study, tmp_path: Path, call_cli: Callable
) -> None:
    what = ("explain", "image", study.store, study.run, image(study), *ONLY)
    with without("nilearn"):
        done = mindeye(*what, "--out", tmp_path / "a", "--anatomy", "mni")
        assert any(name.endswith("responds.png") for name in done["maps"])
        refused = call_cli(*what, "--out", tmp_path / "b", "--anatomy", "mni", "--standard")
    assert refused.code == 4 and "mindeye[viz]" in refused.stderr
    assert not (tmp_path / "b").exists()


def test_standard_brains_of_declared_data(study: Study, tmp_path: Path) -> None:
    pytest.importorskip("nilearn")
    out = tmp_path / "out"
    what = ("explain", "image", study.store, study.run, image(study), *ONLY)
    mindeye(*what, "--out", out, "--anatomy", "mni", "--standard")
    assert np.asarray(Image.open(out / "glass.png").convert("RGB")).std() > 5
    page = (out / "surface.html").read_text()
    assert not re.search(r"<(?:link|script|img|iframe)[^>]*https?:", page)


def test_shares_that_never_add_up_end_the_command(
    study: Study, tmp_path: Path, call_cli: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        gradients, "_back", lambda through, slopes, row: torch.ones(len(slopes), len(row))
    )
    done = call_cli(
        "explain", "image", study.store, study.run, image(study), "--out", tmp_path / "out"
    )
    assert done.code == 3 and "--ask responds,needed" in done.stderr
    assert not (tmp_path / "out").exists()


def test_other_targets_than_the_runs_are_refused(
    study: Study, tmp_path: Path, call_cli: Callable
) -> None:
    copy = study.copy(tmp_path)
    mindeye("store", "rm", copy.store, f"targets/{SPACE}")
    done = call_cli("explain", "image", copy.store, copy.run, image(study), *ONLY)
    assert done.code == 4 and SPACE in done.stderr
