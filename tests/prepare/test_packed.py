"""`prepare webdataset` and `prepare mindeye2` against a made-up experiment."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from prepare import packed
from prepare.lab import Lab, make_lab

from mindeye_cli.core.trials import image_trials
from mindeye_cli.prepare.mindeye2.run import Mindeye2Options, describe_mindeye2, prepare_mindeye2
from mindeye_cli.prepare.releases import RELEASES, release_of
from mindeye_cli.prepare.webdataset.run import (
    WebdatasetOptions,
    describe_webdataset,
    prepare_webdataset,
)
from mindeye_store import InvalidInput, MissingResource, Store, Subject, open_store


@pytest.fixture(scope="module")
def lab() -> Lab:
    return make_lab()


@pytest.fixture
def webdataset(tmp_path: Path, lab: Lab) -> Path:
    packed.write_webdataset(tmp_path / "wds", lab)
    return tmp_path / "wds"


@pytest.fixture
def mindeye2(tmp_path: Path, lab: Lab) -> Path:
    packed.write_mindeye2(tmp_path / "me2", lab)
    return tmp_path / "me2"


def first(folder: Path, **options: Any) -> tuple[Store, Subject]:
    path = folder.parent / "first.zarr"
    prepare_webdataset(WebdatasetOptions(folder=folder, store=path, subject=1, **options))
    store = open_store(path)
    return store, store.subject("subj01")


def second(folder: Path, **options: Any) -> tuple[Store, Subject]:
    path = folder.parent / "second.zarr"
    prepare_mindeye2(Mindeye2Options(folder=folder, store=path, subject=1, **options))
    store = open_store(path)
    return store, store.subject("subj01")


def voxels(subject: Subject) -> np.ndarray:
    return subject.voxels.read(np.arange(len(subject.voxels)))


def shown_ids(store: Store, subject: Subject) -> np.ndarray:
    """NSD's number of the image behind each trial, from the picture's name."""
    return np.array([int(name.removeprefix("nsd")) for name in store.images.ids])[
        subject.image_index
    ]


def test_webdataset_holds_every_presentation_once(webdataset: Path, lab: Lab) -> None:
    store, subject = first(webdataset)
    ids = shown_ids(store, subject)
    for image, number in enumerate(packed.IDS):
        shown = np.flatnonzero(lab.image == image)[:3]
        mine = np.flatnonzero(ids == number)
        assert np.array_equal(voxels(subject)[mine], lab.matrix[shown].astype(np.float16))
        assert (subject.split[mine] == (image > 6)).all()
        assert subject.repeat[mine].tolist() == list(range(len(shown)))
        assert (subject.column("source_trial")[mine] == shown[0]).all()
    assert np.array_equal(
        store.images.read(subject.image_index)[0],
        lab.pixels[packed.IDS.tolist().index(ids[0])],
    )
    assert subject.attrs["samples"] == {"train": 6, "val": 1, "test": 3}
    assert subject.attrs["release"] is None
    with pytest.raises(InvalidInput, match="does not tell the sessions"):
        image_trials(subject, "train", sessions=1)


def test_all_rows_average_as_the_published_code_does(tmp_path: Path) -> None:
    lab = make_lab()
    # Image 0 twice only, image 1 once: their samples are filled up with copies.
    for image, kept in ((0, 2), (1, 1)):
        lab.image[np.flatnonzero(lab.image == image)[kept:]] = 2
    packed.write_webdataset(tmp_path / "wds", lab)
    store, subject = first(tmp_path / "wds", rows="all")
    ids, values = shown_ids(store, subject), voxels(subject)
    shown = np.flatnonzero(lab.image == 0)
    rows = lab.matrix[shown].astype(np.float16).astype(np.float64)
    mean = values[ids == packed.IDS[0]].mean(axis=0)
    np.testing.assert_allclose(mean, (2 * rows[0] + rows[1]) / 3, rtol=1e-5)
    assert (ids == packed.IDS[1]).sum() == 3
    assert subject.attrs["rows_past_uniques_are_copies"] is True
    # Copies are no measurements: reliability is that of the presentations.
    (tmp_path / "unique").mkdir()
    (tmp_path / "wds").rename(tmp_path / "unique/wds")
    _, unique = first(tmp_path / "unique/wds")
    np.testing.assert_allclose(subject.ncsnr, unique.ncsnr, atol=1e-5)
    assert (unique.repeat.max(), len(unique.repeat)) == (2, len(ids) - 3)


def test_a_copied_sample_is_left_out(webdataset: Path, lab: Lab) -> None:
    _, before = first(webdataset)
    values = voxels(before)
    path = webdataset / "val/val_subj01_0.tar"
    packed.write_tar(path, [*packed.read_tar(path), *packed.sample(lab, 3, 7)])
    (webdataset / "metadata_subj01.json").unlink()
    store, after = first(webdataset, overwrite=True)
    assert np.array_equal(voxels(after), values)
    assert store.images.n == 10


def test_releases_are_told_apart_by_their_counts() -> None:
    assert release_of(1, train_images=8859, test_images=982).name == "first release"
    assert release_of(5, train_images=9000, test_images=1000).name == "all sessions"
    assert release_of(3, train_images=9000, test_images=1000) is None
    for both in RELEASES.values():
        for release in both:
            assert release.train_trials + release.test_trials == release.sessions * 750


def test_a_missing_shard_is_named(webdataset: Path) -> None:
    (webdataset / "train/train_subj01_0.tar").unlink()
    with pytest.raises(MissingResource, match="train_subj01_0.tar"):
        first(webdataset)


def test_metadata_counts_are_checked(webdataset: Path) -> None:
    (webdataset / "train/train_subj01_1.tar").unlink()
    with pytest.raises(InvalidInput, match="counts 6 train samples, the tar files hold 3"):
        first(webdataset)


def test_dry_runs_write_nothing(webdataset: Path, mindeye2: Path, tmp_path: Path) -> None:
    store = tmp_path / "none.zarr"
    one = describe_webdataset(WebdatasetOptions(folder=webdataset, store=store, subject=1))
    assert one.values["n_images"] == 10
    assert one.values["splits"]["test"] == {"trials": 9, "images": 3}
    assert len(one.values["files"]) == 4
    options = Mindeye2Options(folder=mindeye2, store=store, subject=1)
    assert describe_mindeye2(options).values["splits"]["test"] == {"trials": 12, "images": 3}
    (mindeye2 / "coco_images_224_float16.hdf5").unlink()
    assert describe_mindeye2(options).values["missing"] == ["coco_images_224_float16.hdf5"]
    assert not store.exists()


def test_mindeye2_keeps_the_trials_in_order(mindeye2: Path, lab: Lab) -> None:
    store, subject = second(mindeye2)
    assert np.array_equal(voxels(subject), lab.matrix)
    assert np.array_equal(shown_ids(store, subject), packed.IDS[lab.image])
    assert np.array_equal(store.images.read(subject.image_index), lab.pixels[lab.image])
    for name in ("session", "run"):
        assert np.array_equal(subject.column(name), getattr(lab, name))
    assert np.array_equal(subject.column("source_trial"), np.arange(len(lab.image)))
    assert subject.attrs["source_normalisation"]["remark"].startswith("as published")


def test_the_old_test_set_leaves_the_other_shared_images_out(
    mindeye2: Path, lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    store, subject = second(mindeye2, test_set="old")
    test = shown_ids(store, subject)[np.asarray(subject.split) == 1]
    assert set(test) == {packed.IDS[7], packed.IDS[8]}
    assert packed.IDS[9] not in shown_ids(store, subject)
    # A shared image in a training file trains nobody.
    path = mindeye2 / "wds/subj01/train/1.tar"
    rows = packed.behaviour(lab)[(lab.image == 9) & (lab.session == 2)]
    entries = packed.behaviour_entries(rows)
    for info, _ in entries:
        info.name = "shared" + info.name
    packed.write_tar(path, [*packed.read_tar(path), *entries])
    with caplog.at_level(logging.WARNING):
        store, subject = second(mindeye2, test_set="old", overwrite=True)
    assert packed.IDS[9] not in shown_ids(store, subject)
    assert f"{len(rows)} trials of images that all subjects saw" in caplog.text


def test_counts_of_real_size_are_checked(mindeye2: Path, lab: Lab) -> None:
    """30,000 responses are subject 1's, but 12 test trials are not."""
    with h5py.File(mindeye2 / "betas_all_subj01_fp32_renorm.hdf5", "w") as file:
        file.create_dataset("betas", data=np.tile(lab.matrix[:, :3], (750, 1)))
    with pytest.raises(InvalidInput, match="12 test trials of 3 images, where subject 1 has 3000"):
        second(mindeye2)


def test_voxels_of_another_subject_are_refused(mindeye2: Path, lab: Lab) -> None:
    values = np.random.default_rng(0).normal(size=(len(lab.image), 12682)).astype(np.float32)
    with h5py.File(mindeye2 / "betas_all_subj01_fp32_renorm.hdf5", "w") as file:
        file["betas"] = values
    with pytest.raises(InvalidInput, match="those of subject 7, not 1"):
        second(mindeye2)


def test_both_are_finished_and_said_so(call_cli: Any, webdataset: Path, mindeye2: Path) -> None:
    for name, folder in (("webdataset", webdataset), ("mindeye2", mindeye2)):
        store = folder.parent / f"{name}.zarr"
        command = ("prepare", name, folder, store, "--subject", "1", "--json")
        done = call_cli(*command)
        assert done.code == 0, done.stderr
        assert {"n_voxels", "n_trials", "n_images", "splits"} <= set(done.json)
        assert call_cli(*command).json["status"] == "notneeded"
        assert call_cli(*command, "--dry-run").json["n_images"] == 10
        changed = call_cli(*command, "--max-invalid", "0.5")
        assert (changed.code, "--overwrite" in changed.json["error"]["fix"]) == (3, True)
        assert call_cli("prepare", name, folder, store, "--subject", "2").code == 4
        people = call_cli("prepare", name, folder, store, "--subject", "1", "--dry-run")
        assert "0 of" in people.stderr
