"""`prepare nsd` against readings of the same files that share no code with it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import scipy.stats
from prepare.nsd_fixture import (
    BETAS,
    N_BRICK,
    RUNS,
    TinyNsd,
    write_tiny_nsd,
    write_volume,
)

from mindeye_cli.prepare.nsd.check import NsdOptions
from mindeye_cli.prepare.nsd.layout import NsdLayout, parse_sessions, parse_subject
from mindeye_cli.prepare.nsd.run import describe_nsd, prepare_nsd
from mindeye_store import InvalidInput, Subject, UsageProblem, open_store

PER_SESSION = sum(RUNS)


def options(data: TinyNsd, store: Path, **changes: Any) -> NsdOptions:
    return NsdOptions(layout=NsdLayout(root=data.root, subject=1), store=store, **changes)


def stored(data: TinyNsd, store: Path, **changes: Any) -> Subject:
    prepare_nsd(options(data, store, **changes))
    return open_store(store).subject("subj01")


def oracle(data: TinyNsd, kind: str = "train") -> np.ndarray:
    """z-scores read with nibabel and computed with scipy: (n_trials, V)."""
    mask = nibabel.load(data.roi / "nsdgeneral.nii.gz").get_fdata() > 0
    parts = []
    for session in range(1, data.n_sessions + 1):
        volume = nibabel.load(data.beta_file(session)).get_fdata() / 300
        values = volume[mask].T
        test = data.is_test[(session - 1) * PER_SESSION : session * PER_SESSION]
        reference = values if kind == "session" else values[~test]
        parts.append(scipy.stats.zmap(values, reference, axis=0, ddof=0))
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyNsd:
    return write_tiny_nsd(tmp_path_factory.mktemp("tiny") / "nsd")


@pytest.fixture(scope="module")
def subject(tiny: TinyNsd, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return stored(tiny, tmp_path_factory.mktemp("store") / "s.zarr")


def all_voxels(subject: Subject) -> np.ndarray:
    return subject.voxels.read(np.arange(len(subject.voxels)))


def test_voxels_are_in_c_order_and_z_scored_by_training_trials(
    tiny: TinyNsd, subject: Subject
) -> None:
    np.testing.assert_allclose(all_voxels(subject), oracle(tiny), atol=1e-5)
    mask = nibabel.load(tiny.roi / "nsdgeneral.nii.gz").get_fdata() > 0
    assert np.array_equal(subject.ijk, np.argwhere(mask))
    assert subject.affine is not None
    assert subject.affine[0, 3] == -4.5
    assert subject.attrs["SourceDatasets"] == [{"id": "NSD"}]


def test_training_statistics_are_exact(tiny: TinyNsd, subject: Subject) -> None:
    train = subject.split == 0
    for session in (1, 2, 3):
        values = all_voxels(subject)[(subject.session == session) & train]
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(values.std(axis=0), 1, atol=1e-6)


def test_session_statistics_on_request(tiny: TinyNsd, tmp_path: Path) -> None:
    subject = stored(tiny, tmp_path / "s.zarr", zscore="session")
    np.testing.assert_allclose(all_voxels(subject), oracle(tiny, "session"), atol=1e-5)
    assert subject.attrs["normalisation"]["zscore"] == "session"


def test_trials_split_and_pictures(tiny: TinyNsd, subject: Subject) -> None:
    store = open_store(Path(subject._bundle).parents[1])
    assert np.array_equal(subject.split, tiny.is_test.astype(np.uint8))
    assert np.array_equal(subject.session, np.repeat([1, 2, 3], PER_SESSION))
    assert np.array_equal(subject.run, np.tile(np.repeat(np.arange(1, 13), RUNS), 3))
    seen: dict[int, int] = {}
    for trial, picture in enumerate(tiny.images):
        assert subject.repeat[trial] == seen.get(picture, 0)
        seen[picture] = seen.get(picture, 0) + 1
    pixels = store.images.read(subject.image_index)
    assert np.array_equal(pixels, tiny.pixels[tiny.images])
    assert store.images.n == len(set(tiny.images)) < N_BRICK
    assert [store.images.ids[row] for row in subject.image_index[:3]] == [
        f"nsd{picture:05d}" for picture in tiny.images[:3]
    ]
    record = store.images.records[subject.image_index[0]]
    assert record["nsd_id"] == tiny.images[0]
    assert record["coco_id"] == 1000 + tiny.images[0]


def test_reliability_is_that_of_training_trials(tiny: TinyNsd, subject: Subject) -> None:
    values, images = oracle(tiny), tiny.images
    for voxel in range(0, values.shape[1], 7):
        noise = []
        for picture in sorted(set(images[~tiny.is_test])):
            repeats = [values[t, voxel] for t in range(len(images)) if images[t] == picture]
            if len(repeats) >= 3:
                mean = sum(repeats) / len(repeats)
                noise.append(sum((r - mean) ** 2 for r in repeats) / (len(repeats) - 1))
        variance = sum(noise) / len(noise)
        expected = max(0.0, 1 - variance) ** 0.5 / variance**0.5
        assert subject.ncsnr is not None
        assert subject.ncsnr[voxel] == pytest.approx(expected, abs=1e-4)
    held = nibabel.load(tiny.beta_folder / "ncsnr.nii.gz").get_fdata()
    np.testing.assert_allclose(subject.column("ncsnr_file"), held[tuple(subject.ijk.T)], atol=1e-6)


def test_every_atlas_with_its_names(tiny: TinyNsd, subject: Subject) -> None:
    names = {"nsdgeneral", "prf-visualrois", "floc-faces", "streams", "custom"}
    assert set(subject.rois) == names
    for name in names:
        volume = nibabel.load(tiny.roi / f"{name}.nii.gz").get_fdata()
        assert np.array_equal(subject.rois[name].labels, volume[tuple(subject.ijk.T)])
    assert subject.rois["prf-visualrois"].names[7] == "hV4"
    assert subject.rois["streams"].names[1] == "one"  # the table beats the fallback
    assert subject.rois["floc-faces"].names[2] == "FFA-1"  # no table: the published names
    assert subject.rois["custom"].names == {1: "1", 2: "2"}


def test_test_trials_do_not_reach_training_arrays(
    tiny: TinyNsd, subject: Subject, tmp_path: Path
) -> None:
    changed = TinyNsd(tmp_path / "nsd")
    shutil.copytree(tiny.root, changed.root)
    random = np.random.default_rng(5)
    for session in range(1, 4):
        betas = tiny.betas[session - 1].copy()
        test = tiny.is_test[(session - 1) * PER_SESSION : session * PER_SESSION]
        betas[..., test] = random.integers(-3000, 3000, betas[..., test].shape)
        write_volume(changed.beta_file(session), betas)
    other = stored(changed, tmp_path / "s.zarr")
    train = subject.split == 0
    assert np.array_equal(all_voxels(other)[train], all_voxels(subject)[train])
    assert not np.array_equal(all_voxels(other)[~train], all_voxels(subject)[~train])
    for column in ("ncsnr", "image_index", "ijk", "session", "repeat"):
        assert np.array_equal(other.column(column), subject.column(column))


def test_a_choice_of_sessions_cuts_trials_and_test_set(tiny: TinyNsd, tmp_path: Path) -> None:
    subject = stored(tiny, tmp_path / "s.zarr", sessions=(1, 3))
    taken = np.r_[0:PER_SESSION, 2 * PER_SESSION : 3 * PER_SESSION]
    np.testing.assert_allclose(all_voxels(subject), oracle(tiny)[taken], atol=1e-5)
    assert np.array_equal(subject.split, tiny.is_test[taken])
    counts = subject.attrs["counts"]
    assert counts["splits"]["test"]["images"] == len(set(tiny.images[taken][tiny.is_test[taken]]))
    assert counts["n_trials"] == 2 * PER_SESSION


@pytest.mark.parametrize(
    "absent", ["nsd_expdesign.mat", "nsd_stim_info_merged.csv", "responses.tsv"]
)
def test_either_design_file_is_enough(
    tiny: TinyNsd, subject: Subject, tmp_path: Path, absent: str
) -> None:
    shutil.copytree(tiny.root, tmp_path / "nsd")
    copy = TinyNsd(tmp_path / "nsd")
    (path,) = copy.root.rglob(absent)
    path.unlink()
    other = stored(copy, tmp_path / "s.zarr")
    assert np.array_equal(all_voxels(other), all_voxels(subject))
    for column in ("image_index", "split", "run"):
        assert np.array_equal(other.column(column), subject.column(column))


def test_invalid_voxels_are_listed_and_dropped(tiny: TinyNsd, tmp_path: Path) -> None:
    shutil.copytree(tiny.root, tmp_path / "nsd")
    copy = TinyNsd(tmp_path / "nsd")
    ijk = np.argwhere(nibabel.load(copy.roi / "nsdgeneral.nii.gz").get_fdata() > 0)
    betas = tiny.betas[1].astype(np.float32) / 300
    betas[tuple(ijk[4])] = 0
    betas[tuple(ijk[9])] = np.nan
    betas[tuple(ijk[11])] = 1.5
    write_volume(copy.beta_file(2), betas)
    with pytest.raises(InvalidInput, match=r"3 of \d+ voxels.*all zero \(1\).*session 2"):
        prepare_nsd(options(copy, tmp_path / "s.zarr"))
    assert not (tmp_path / "s.zarr").exists()
    subject = stored(copy, tmp_path / "s.zarr", max_invalid=0.2)
    assert subject.attrs["dropped"] == {
        "count": 3,
        "not finite": [9],
        "all zero": [4],
        "constant": [11],
    }
    assert np.array_equal(subject.ijk, np.delete(ijk, [4, 9, 11], axis=0))
    first = all_voxels(subject)[:PER_SESSION]
    expected = np.delete(oracle(tiny)[:PER_SESSION], [4, 9, 11], axis=1)
    np.testing.assert_allclose(first, expected, atol=1e-5)


def test_again_there_is_nothing_to_do_and_other_settings_are_refused(
    tiny: TinyNsd, tmp_path: Path
) -> None:
    store = tmp_path / "s.zarr"
    first = prepare_nsd(options(tiny, store))
    again = prepare_nsd(options(tiny, store))
    assert (first.status, again.status) == ("ok", "notneeded")
    assert again.values == first.values
    with pytest.raises(InvalidInput, match="another zscore"):
        prepare_nsd(options(tiny, store, zscore="session"))
    replaced = prepare_nsd(options(tiny, store, zscore="session", overwrite=True))
    assert replaced.status == "ok"
    assert open_store(store).subject("subj01").attrs["normalisation"]["zscore"] == "session"
    assert [path.name for path in tmp_path.iterdir()] == ["s.zarr"]


def test_captions_and_records_beside_the_pictures(tiny: TinyNsd, tmp_path: Path) -> None:
    shutil.copytree(tiny.root, tmp_path / "nsd")
    copy = TinyNsd(tmp_path / "nsd")
    row = int(tiny.images[0])
    (copy.root / "nsddata_stimuli/stimuli/nsd/scenes.jsonl").write_text(
        f'{{"row": {row}, "caption": "a red house", "record": {{"seed": 3}}, "group": 2}}\n'
    )
    subject = stored(copy, tmp_path / "s.zarr")
    images = open_store(tmp_path / "s.zarr").images
    assert images.captions[subject.image_index[0]] == "a red house"
    record = images.records[subject.image_index[0]]
    assert (record["seed"], record["group"], record["nsd_id"]) == (3, 2, row)


def test_dry_run_lists_what_is_there_and_what_is_not(tiny: TinyNsd, tmp_path: Path) -> None:
    whole = describe_nsd(options(tiny, tmp_path / "s.zarr"))
    assert whole.values["missing"] == []
    assert whole.values["n_trials"] == 3 * PER_SESSION
    partial = describe_nsd(options(tiny, tmp_path / "s.zarr", sessions=(1, 7)))
    assert partial.values["missing"] == [
        f"nsddata_betas/ppdata/subj01/func1pt8mm/{BETAS}/betas_session07.nii.gz"
    ]
    assert partial.values["bytes"] > 0
    nothing = describe_nsd(options(TinyNsd(tmp_path / "none"), tmp_path / "s.zarr"))
    assert len(nothing.values["missing"]) == len(nothing.values["files"]) == 43
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "number"), [("1", 1), ("01", 1), ("subj07", 7), ("subj7", 7), ("8", 8)]
)
def test_subject_names(text: str, number: int) -> None:
    assert parse_subject(text) == number


@pytest.mark.parametrize("text", ["0", "9", "subj", "one", "1,2", ""])
def test_other_subjects_are_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match="1 to 8"):
        parse_subject(text)


def test_session_lists() -> None:
    assert parse_sessions("3-5,1,4") == (1, 3, 4, 5)
    for text in ("0", "5-3", "1-41", "a", "1,,2"):
        with pytest.raises(UsageProblem, match="session"):
            parse_sessions(text)
