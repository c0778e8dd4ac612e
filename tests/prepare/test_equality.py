"""One simulated subject through every layout: the same voxels and the same trial -> image map.

`prepare nsd` is the reference (tested by itself against nibabel and scipy). The packed layouts
keep trials z-scored by all trials of a session, as `prepare nsd --zscore session` makes them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from prepare.nsd_formats import FORMATS
from prepare.nsd_surface import write_mgh

from mindeye_cli.prepare.arrays.run import ArraysOptions, prepare_arrays
from mindeye_cli.prepare.mindeye2.run import Mindeye2Options, prepare_mindeye2
from mindeye_cli.prepare.nsd.check import NsdOptions
from mindeye_cli.prepare.nsd.layout import NsdLayout
from mindeye_cli.prepare.nsd.run import prepare_nsd
from mindeye_cli.prepare.webdataset.run import WebdatasetOptions, prepare_webdataset
from mindeye_cli.simulate.run import simulate
from mindeye_cli.simulate.settings import SimulateConfig
from mindeye_store import Store, Subject, open_store

NAME = "subj02"
SIZE: dict[str, Any] = {"subjects": (2,), "images": 24, "test": 6, "voxels": 200, "seed": 4}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The subject in every layout."""
    home = tmp_path_factory.mktemp("layouts")
    for layout in ("nsd", "arrays", "webdataset", "mindeye2"):
        simulate(home / layout, SimulateConfig(layout=layout, **SIZE))  # type: ignore[arg-type]
    return home


@pytest.fixture(scope="module")
def nsd(data: Path) -> Callable[[str], Store]:
    """What `prepare nsd` makes of it, by z-scoring."""
    stores: dict[str, Store] = {}

    def made(zscore: str) -> Store:
        if zscore not in stores:
            path = data / f"nsd-{zscore}.zarr"
            layout = NsdLayout(root=data / "nsd", subject=2)
            prepare_nsd(NsdOptions(layout=layout, store=path, zscore=zscore, max_invalid=0.05))  # type: ignore[arg-type]
            stores[zscore] = open_store(path)
        return stores[zscore]

    return made


def voxels(subject: Subject) -> np.ndarray:
    return subject.voxels.read(np.arange(len(subject.voxels)))


def columns(subject: Subject, n: int) -> np.ndarray:
    """Places of a subject's voxels among the `n` of the mask."""
    dropped = subject.attrs["dropped"]
    gone = {voxel for found in dropped.values() if isinstance(found, list) for voxel in found}
    return np.array([voxel for voxel in range(n) if voxel not in gone])


def picture_ids(store: Store) -> np.ndarray:
    """NSD's number of the image behind each trial."""
    ids = [record["nsd_id"] for record in store.images.records]
    return np.array(ids)[store.subject(NAME).image_index]


def assert_same_pictures(one: Store, other: Store) -> None:
    rows = [other.images.rows[name] for name in one.images.ids]
    assert one.images.n == other.images.n
    assert np.array_equal(one.images.read(np.arange(one.images.n)), other.images.read(rows))
    assert [one.images.captions[i] for i in range(one.images.n)] == [
        other.images.captions[row] for row in rows
    ]


@pytest.mark.parametrize("form", ["hdf5 of NSD", "hdf5 of Python", "mat 7.3", "mat 5, packed"])
def test_nsd_in_other_formats(
    data: Path, nsd: Callable[[str], Store], tmp_path: Path, form: str
) -> None:
    """int16 at 300 times in every one: the same bits of every array."""
    shutil.copytree(data / "nsd", tmp_path / "nsd")
    ending, write = FORMATS[form]
    for path in sorted((tmp_path / "nsd/nsddata_betas").rglob("betas_session*.nii.gz")):
        betas = np.asanyarray(nibabel.load(path).dataobj)
        write(path.with_name(path.name.replace("nii.gz", ending)), betas)
        path.unlink()
    layout = NsdLayout(root=tmp_path / "nsd", subject=2)
    store = tmp_path / "s.zarr"
    prepare_nsd(NsdOptions(layout=layout, store=store, zscore="session", max_invalid=0.05))
    one, other = nsd("session"), open_store(store)
    assert one.subject(NAME).fingerprint == other.subject(NAME).fingerprint
    assert np.array_equal(picture_ids(one), picture_ids(other))
    assert_same_pictures(one, other)


def test_nsd_on_a_surface(data: Path, nsd: Callable[[str], Store], tmp_path: Path) -> None:
    """float32 percent: the voxels as vertices, the first 120 of them to the left."""
    shutil.copytree(data / "nsd", tmp_path / "nsd")
    volumes = tmp_path / "nsd/nsddata/ppdata/subj02/func1pt8mm/roi"
    inside = nibabel.load(volumes / "nsdgeneral.nii.gz").get_fdata() > 0
    betas = tmp_path / "nsd/nsddata_betas/ppdata/subj02"
    for path in sorted(betas.rglob("betas_session*.nii.gz")):
        percent = np.asanyarray(nibabel.load(path).dataobj)[inside].astype(np.float32) / 300
        stem = path.name.removesuffix(".nii.gz")
        for side, half in zip(("lh", "rh"), np.split(percent, [120]), strict=True):
            write_mgh(betas / "fsaverage" / path.parent.name / f"{side}.{stem}.mgh", half)
    labels = tmp_path / "nsd/nsddata/freesurfer/fsaverage/label"
    for side, count in (("lh", 120), ("rh", int(inside.sum()) - 120)):
        write_mgh(labels / f"{side}.nsdgeneral.mgz", np.ones(count, np.int32))
    layout = NsdLayout(root=tmp_path / "nsd", subject=2, volume_space="fsaverage")
    store = tmp_path / "s.zarr"
    prepare_nsd(NsdOptions(layout=layout, store=store, zscore="session", max_invalid=0.05))
    one, other = nsd("session"), open_store(store)
    first, second = one.subject(NAME), other.subject(NAME)
    assert np.array_equal(voxels(first), voxels(second))
    for column in ("session", "run", "repeat", "split"):
        assert np.array_equal(first.column(column), second.column(column)), column
    assert np.array_equal(picture_ids(one), picture_ids(other))
    assert second.affine is None


@pytest.mark.parametrize(("kept", "reference"), [("source", "session"), ("train", "train")])
def test_mindeye2(data: Path, nsd: Callable[[str], Store], kept: Any, reference: str) -> None:
    """float32 z-scores, every trial column; z-scored again they are those of training trials."""
    path = data / f"mindeye2-{kept}.zarr"
    options = Mindeye2Options(
        folder=data / "mindeye2", store=path, subject=2, zscore=kept, max_invalid=0.05
    )
    prepare_mindeye2(options)
    one, other = nsd(reference), open_store(path)
    first, second = one.subject(NAME), other.subject(NAME)
    np.testing.assert_allclose(voxels(second), voxels(first), rtol=0, atol=2e-6)
    for column in ("session", "run", "repeat", "split"):
        assert np.array_equal(first.column(column), second.column(column)), column
    assert np.array_equal(picture_ids(one), picture_ids(other))
    assert_same_pictures(one, other)
    assert second.attrs["absent"] == ["ijk", "affine", "roi", "ncsnr_file"]
    assert second.attrs["source_normalisation"]["trials"].startswith("all")
    # Reliability rests on training trials, whatever the stored z-scores rest on.
    np.testing.assert_allclose(second.ncsnr, nsd("train").subject(NAME).ncsnr, atol=1e-4)


def test_mindeye2_with_nsd_at_hand(data: Path, nsd: Callable[[str], Store]) -> None:
    path = data / "mindeye2-nsd.zarr"
    prepare_mindeye2(
        Mindeye2Options(
            folder=data / "mindeye2", store=path, subject=2, nsd=data / "nsd", max_invalid=0.05
        )
    )
    first, second = nsd("session").subject(NAME), open_store(path).subject(NAME)
    assert np.array_equal(first.ijk, second.ijk)
    assert np.array_equal(first.affine, second.affine)
    assert first.rois.keys() == second.rois.keys()
    for name, roi in first.rois.items():
        assert np.array_equal(roi.labels, second.rois[name].labels)
    assert second.attrs["absent"] == ["ncsnr_file"]
    assert open_store(path).images.records[0]["coco_id"] == 0


def test_webdataset(data: Path, nsd: Callable[[str], Store]) -> None:
    """float16 z-scores, presentations of an image in order; sessions and runs are not told."""
    path = data / "webdataset.zarr"
    options = WebdatasetOptions(folder=data / "webdataset", store=path, subject=2, max_invalid=0.05)
    prepare_webdataset(options)
    one, other = nsd("session"), open_store(path)
    first, second = one.subject(NAME), other.subject(NAME)
    place = {}
    for trial, key in enumerate(zip(picture_ids(one), first.repeat, strict=True)):
        place[key] = trial
    order = [place[key] for key in zip(picture_ids(other), second.repeat, strict=True)]
    assert sorted(order) == list(range(len(first.repeat)))
    mine, theirs = columns(second, 200), columns(first, 200)
    assert set(theirs) <= set(mine)
    read = voxels(second)[:, np.isin(mine, theirs)]
    expected = voxels(first)[order]
    assert (np.abs(read - expected) <= np.spacing(np.abs(expected).astype(np.float16))).all()
    assert np.array_equal(first.split[order], second.split)
    assert_same_pictures(one, other)
    assert second.attrs["absent"] == ["session", "run", "ijk", "affine", "roi", "ncsnr_file"]
    assert (second.attrs["source_dtype"], second.attrs["rows_past_uniques_are_copies"]) == (
        "float16",
        True,
    )


def test_arrays(data: Path, nsd: Callable[[str], Store]) -> None:
    """float32 percent signal change, z-scored by the same code: the same bits."""
    path = data / "arrays.zarr"
    options = ArraysOptions(
        folder=data / "arrays", store=path, subject=NAME, zscore="session", max_invalid=0.05
    )
    prepare_arrays(options)
    first, second = nsd("session").subject(NAME), open_store(path).subject(NAME)
    assert np.array_equal(voxels(first), voxels(second))
    for column in ("session", "run", "repeat", "split", "ijk", "ncsnr_file"):
        assert np.array_equal(first.column(column), second.column(column)), column
    pixels = [
        s.images.read(s.subject(NAME).image_index) for s in (nsd("session"), open_store(path))
    ]
    assert np.array_equal(*pixels)
    assert second.attrs["absent"] == ["affine"]
