"""GLMsingle results, volumes and BIDS derivatives: the arrays that `voxels.npy` gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.stats
from prepare import lab as labs

from mindeye_cli.prepare.arrays.run import ArraysOptions, prepare_arrays
from mindeye_cli.prepare.bids.run import BidsOptions, prepare_bids
from mindeye_store import InvalidInput, MissingResource, Subject, open_store

Write = Callable[[Path, labs.Lab], None]
LAYOUTS: list[Write] = [
    labs.write_python_glmsingle,
    labs.write_matlab_glmsingle,
    labs.write_flat_glmsingle,
    labs.write_nifti,
]


@pytest.fixture(scope="module")
def lab() -> labs.Lab:
    return labs.make_lab()


def arrays(folder: Path, **options: Any) -> Subject:
    store = folder.parent / f"{folder.name}.zarr"
    prepare_arrays(ArraysOptions(folder=folder, store=store, subject="me", **options))
    return open_store(store).subject("me")


def voxels(subject: Subject) -> np.ndarray:
    return subject.voxels.read(np.arange(len(subject.voxels)))


def expected(lab: labs.Lab) -> np.ndarray:
    """Each session z-scored by its training trials, by scipy."""
    values = lab.matrix.astype(np.float64)
    train = lab.image <= 6
    parts = [
        scipy.stats.zmap(values[lab.session == s], values[(lab.session == s) & train], axis=0)
        for s in (1, 2)
    ]
    return np.concatenate(parts)


@pytest.mark.parametrize("write", LAYOUTS, ids=[write.__name__ for write in LAYOUTS])
def test_every_kind_of_responses(tmp_path: Path, lab: labs.Lab, write: Write) -> None:
    write(tmp_path / "data", lab)
    subject = arrays(tmp_path / "data")
    np.testing.assert_allclose(voxels(subject), expected(lab), atol=1e-5)
    assert np.array_equal(subject.image_index, lab.image)
    assert np.array_equal(subject.session, lab.session)
    if write is not labs.write_flat_glmsingle:
        assert np.array_equal(subject.ijk, np.argwhere(lab.mask))
        assert np.array_equal(subject.affine, labs.AFFINE)


def bids(folder: Path, **options: Any) -> Subject:
    store = folder.parent / f"{folder.name}.zarr"
    prepare_bids(BidsOptions(folder=folder, store=store, subject="01", **options))
    return open_store(store).subject("sub-01")


def test_bids(tmp_path: Path, lab: labs.Lab) -> None:
    labs.write_bids(tmp_path / "data", lab)
    subject = bids(tmp_path / "data")
    np.testing.assert_allclose(voxels(subject), expected(lab), atol=1e-5)
    assert np.array_equal(subject.session, lab.session)
    assert np.array_equal(subject.run, lab.run)
    assert np.array_equal(subject.split, lab.image > 6)
    images = open_store(tmp_path / "data.zarr").images
    assert np.array_equal(images.read(subject.image_index), lab.pixels[lab.image])
    assert np.array_equal(subject.ijk, np.argwhere(lab.mask))


def test_bids_test_images_may_be_listed(tmp_path: Path, lab: labs.Lab) -> None:
    labs.write_bids(tmp_path / "data", lab)
    for path in (tmp_path / "data").rglob("*_events.tsv"):
        path.write_text(path.read_text().replace("\tsplit", "\tother"))
    with pytest.raises(InvalidInput, match="'split' is missing"):
        bids(tmp_path / "data")
    (tmp_path / "test.txt").write_text("a/7.png\n8.png\nstimuli/a/9.png\n")
    subject = bids(tmp_path / "data", test_images=tmp_path / "test.txt")
    assert np.array_equal(subject.split, lab.image > 6)


def test_pickled_results_are_refused_with_the_way_out(tmp_path: Path, lab: labs.Lab) -> None:
    labs.write_table(tmp_path / "data", lab)
    name = "TYPED_FITHRF_GLMDENOISE_RR.npy"
    np.save(tmp_path / "data" / name, {"betasmd": lab.volumes})  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="never loaded") as caught:
        arrays(tmp_path / "data")
    assert "docs/data.md" in str(caught.value)


def test_what_does_not_fit_is_named(tmp_path: Path, lab: labs.Lab) -> None:
    folder = tmp_path / "data"
    labs.write_python_glmsingle(folder, lab)
    (folder / "mask.nii.gz").unlink()
    with pytest.raises(MissingResource, match="--voxels-of"):
        arrays(folder)
    with h5py.File(folder / "TYPED_FITHRF_GLMDENOISE_RR.hdf5", "w") as file:
        file["betasmd"] = lab.volumes.T
    with pytest.raises(InvalidInput, match="axes swapped"):
        arrays(folder)
    np.save(folder / "voxels.npy", lab.matrix)
    with pytest.raises(InvalidInput, match="keep one"):
        arrays(folder)


def test_a_further_test_set_takes_the_subjects_voxels(tmp_path: Path, lab: labs.Lab) -> None:
    """Same name, same voxels in the same order, in a store of its own; unusable ones are 0."""
    first = tmp_path / "train"
    labs.write_nifti(first, lab)
    trained = arrays(first)
    other = labs.make_lab(seed=1)
    dead = tuple(np.argwhere(lab.mask)[2])
    other.volumes = np.nan_to_num(other.volumes)
    other.volumes[dead] = 0
    later = tmp_path / "later"
    labs.write_nifti(later, other)
    (later / "mask.nii.gz").unlink()
    table = (later / "trials.csv").read_text().replace("train", "test")
    (later / "trials.csv").write_text(table)
    subject = arrays(later, voxels_of=tmp_path / "train.zarr", zscore="session", max_invalid=0.1)
    assert np.array_equal(subject.ijk, trained.ijk)
    values = other.volumes[lab.mask].T.astype(np.float64)
    values[:, 2] += np.arange(len(values))  # any spread
    wanted = np.concatenate([scipy.stats.zscore(values[other.session == s]) for s in (1, 2)])
    wanted[:, 2] = 0
    np.testing.assert_allclose(voxels(subject), wanted, atol=1e-5)
    assert (subject.attrs["filled"], subject.attrs["dropped"]["count"]) == (1, 0)
    assert subject.attrs["counts"]["splits"]["train"]["trials"] == 0


def test_nsds_further_experiments_as_they_are_distributed(tmp_path: Path, lab: labs.Lab) -> None:
    """`betas`, int16 at 300 times percent signal change, trials first and axes reversed."""
    first, later = tmp_path / "train", tmp_path / "later"
    labs.write_nifti(first, lab)
    arrays(first)
    other = labs.make_lab(seed=1)
    labs.write_nifti(later, other)
    (later / "betas.nii.gz").unlink()
    (later / "mask.nii.gz").unlink()
    stored = np.round(300 * np.nan_to_num(other.volumes)).astype(np.int16)
    with h5py.File(later / "betas.hdf5", "w") as file:
        file["betas"] = stored.T
    table = (later / "trials.csv").read_text().replace("train", "test")
    (later / "trials.csv").write_text(table)
    subject = arrays(later, voxels_of=tmp_path / "train.zarr", zscore="session", max_invalid=0.1)
    values = stored[lab.mask].T / 300
    wanted = np.concatenate([scipy.stats.zscore(values[other.session == s]) for s in (1, 2)])
    np.testing.assert_allclose(voxels(subject), wanted, atol=1e-3)


def test_a_run_applies_to_a_further_test_set(call_cli: Any, tmp_path: Path, lab: labs.Lab) -> None:
    for name, seed in (("train", 0), ("later", 1)):
        labs.write_nifti(tmp_path / name, labs.make_lab(seed))
    (tmp_path / "later/mask.nii.gz").unlink()
    table = tmp_path / "later/trials.csv"
    table.write_text(table.read_text().replace("train", "test"))
    base = [tmp_path / "train.zarr", tmp_path / "later.zarr"]
    assert call_cli("prepare", "arrays", tmp_path / "train", base[0], "--subject", "me").code == 0
    extra = ("--subject", "me", "--voxels-of", base[0], "--zscore", "session")
    assert call_cli("prepare", "arrays", tmp_path / "later", base[1], *extra).code == 0
    for store in base:
        assert call_cli("prepare", "targets", store, "--space", "pixels:4").code == 0
    run = tmp_path / "run"
    train = call_cli("train", "ridge", base[0], run, "--subject", "me", "--space", "pixels:4")
    assert train.code == 0, train.stderr
    scored = call_cli("retrieve", "pool", base[1], run, "--pool", "5", "--json")
    assert scored.code == 0, scored.stderr
    assert scored.json["n"] == 10
