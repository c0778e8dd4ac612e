"""Every file is where NSD has it, and says what NSD's would."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest

from mindeye_cli.core.scenes import render, scene_from_record

from .conftest import Files

# Number of labels of every atlas in NSD, with the names of its colour tables.
LABELS = {
    "nsdgeneral": "nsdgeneral",
    "prf-visualrois": "V1v V1d V2v V2d V3v V3d hV4",
    "floc-faces": "OFA FFA-1 FFA-2 mTL-faces aTL-faces",
    "floc-words": "OWFA VWFA-1 VWFA-2 mfs-words mTL-words",
    "floc-places": "OPA PPA RSC",
    "floc-bodies": "EBA FBA-1 FBA-2 mTL-bodies",
    "streams": "early midventral midlateral midparietal ventral lateral parietal",
}
MISSING = {1: ("floc-places", "RSC"), 3: ("floc-bodies", "FBA-1")}


def pictures(root: Path) -> np.ndarray:
    with h5py.File(root / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5") as file:
        return file["imgBrick"][:]


def table(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream, delimiter=delimiter))


def test_betas_are_int16_volumes_with_trials_last(files: Files) -> None:
    trials = files.design["stimpattern"].sum((1, 2))
    assert len(files.volumes) == len(trials) >= 3
    for image, count in zip(files.volumes, trials, strict=True):
        assert image.get_data_dtype() == np.int16
        assert image.shape == (*files.mask.shape, count)
        assert np.isnan(image.header["scl_slope"])  # nibabel's reading of "no scaling"
        outside = np.asarray(image.dataobj)[~files.mask]
        assert not outside.any()
        assert np.allclose(image.header.get_zooms()[:3], 1.8)
    assert sum(trials) == files.order.size
    assert files.mask.sum() == 300
    assert len(set(files.mask.shape)) == 3  # a reader that swaps axes must fail


def test_betas_are_percent_signal_change_times_300(files: Files) -> None:
    alive = files.truth["dead"] == 0
    spread = np.median(files.sessions[0].std(0)[alive])
    assert 0.5 < spread < 5
    assert np.median(files.sessions[0].mean(0)[alive]) > 0


def test_each_source_names_the_same_picture(files: Files) -> None:
    """The design counts from 1, the table's nsdId from 0, and they agree with the behaviour."""
    design = files.design
    assert design["subjectim"].shape[0] == 8
    assert design["subjectim"].min() == 1
    by_design = design["subjectim"][files.subject - 1][files.order - 1]
    rows = table(files.experiments / "nsd_stim_info_merged.csv")
    by_table = {}
    for row in rows:
        for repeat in range(3):
            trial = int(row[f"subject{files.subject}_rep{repeat}"])
            if trial:
                assert trial not in by_table
                by_table[trial] = int(row["nsdId"]) + 1
                assert row[f"subject{files.subject}"] == "1"
    assert [by_table[trial + 1] for trial in range(len(by_design))] == by_design.tolist()
    behaviour = table(files.space.parent / "behav/responses.tsv", "\t")
    assert [int(row["73KID"]) for row in behaviour] == by_design.tolist()
    assert [int(row["10KID"]) for row in behaviour] == files.order.tolist()


def test_shared_pictures_are_the_test_pictures(small: Path) -> None:
    files = Files(small)
    shared = files.design["sharedix"].ravel()
    assert len(shared) == 12 + 2 * 9
    assert (np.diff(shared) > 0).all()
    rows = table(files.experiments / "nsd_stim_info_merged.csv")
    assert [int(row["nsdId"]) + 1 for row in rows if row["shared1000"] == "True"] == list(shared)
    first, third = files.design["subjectim"][[0, 2]]
    assert set(first) & set(third) == set(shared)
    assert set(first[: len(shared)]) == set(shared)
    assert len(pictures(small)) == len(rows) == 30 + 2 * 60
    # Dealt out at random: an index that is off by one meets another picture.
    assert not np.isin(shared, np.arange(1, 31)).all()


def test_columns_are_nsds(files: Files) -> None:
    header = list(table(files.experiments / "nsd_stim_info_merged.csv")[0])
    numbers = range(1, 9)
    expected = ["", "cocoId", "cocoSplit", "cropBox", "loss", "nsdId", "flagged", "BOLD5000"]
    expected += ["shared1000", *(f"subject{n}" for n in numbers)]
    expected += [f"subject{n}_rep{repeat}" for n in numbers for repeat in range(3)]
    assert header == expected
    text = (files.space.parent / "behav/responses.tsv").read_text()
    assert text.split("\n")[0].split("\t") == (
        "SUBJECT SESSION RUN TRIAL 73KID 10KID TIME ISOLD ISCORRECT RT CHANGEMIND MEMORYRECENT"
        " MEMORYFIRST ISOLDCURRENT ISCORRECTCURRENT TOTAL1 TOTAL2 BUTTON MISSINGDATA"
    ).split(" ")


def test_behaviour_follows_the_order_of_trials(files: Files) -> None:
    rows = table(files.space.parent / "behav/responses.tsv", "\t")
    seen: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        before = seen.setdefault(row["10KID"], [])
        here = [trial for trial in before if rows[trial]["SESSION"] == row["SESSION"]]
        assert row["ISOLD"] == str(int(bool(before)))
        assert row["ISOLDCURRENT"] == str(int(bool(here)))
        recent = str(float(number - before[-1] - 1)) if before else "NaN"
        first = str(float(number - before[0] - 1)) if before else "NaN"
        assert (row["MEMORYRECENT"], row["MEMORYFIRST"]) == (recent, first)
        assert (row["BUTTON"] == "2") == (row["ISCORRECT"] == row["ISOLD"])
        before.append(number)
    times = [float(row["TIME"]) for row in rows]
    assert times == sorted(times)
    # Sessions and runs as the design's pattern of slots counts them.
    counted = Counter((int(row["SESSION"]), int(row["RUN"])) for row in rows)
    pattern = files.design["stimpattern"].sum(2)
    expected = {(s + 1, r + 1): n for (s, r), n in np.ndenumerate(pattern) if n}
    assert counted == expected


def test_repetitions_are_unequal_and_some_fall_in_one_session(files: Files) -> None:
    session = np.repeat(np.arange(len(files.sessions)), [len(b) for b in files.sessions])
    shown = {picture: session[files.order == picture] for picture in np.unique(files.order)}
    counts = Counter(len(where) for where in shown.values())
    assert counts[3] > 0.9 * len(shown)
    assert counts[3] < len(shown)
    assert all(len(shown[picture]) == 3 for picture in range(1, 19))
    together = np.mean([len(set(where)) < len(where) for where in shown.values()])
    apart = np.mean([len(set(where)) > 1 for where in shown.values()])
    assert together > 0.2
    assert apart > 0.5
    presented = files.design["basiccnt"]
    assert presented.sum() == len(files.order)
    assert presented[0].sum() == len(shown)


def test_pictures_are_the_recorded_scenes(small: Path) -> None:
    brick = pictures(small)
    assert brick.dtype == np.uint8
    assert brick.shape[1:] == (64, 64, 3)
    lines = (small / "nsddata_stimuli/stimuli/nsd/scenes.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["row"] for record in records] == list(range(len(brick)))
    for record, picture in zip(records, brick, strict=True):
        scene = scene_from_record(record["record"])
        assert np.array_equal(render(scene), picture)
        assert record["caption"] == scene.caption()
    groups = Counter(record["group"] for record in records if "group" in record)
    assert groups == {0: 10, 1: 10}


@pytest.mark.parametrize("atlas", LABELS)
def test_roi_volumes_hold_minus_one_zero_or_a_named_label(files: Files, atlas: str) -> None:
    names = LABELS[atlas].split()
    volume = files.roi(atlas)
    assert volume.shape == files.mask.shape
    assert set(np.unique(volume)) <= set(range(-1, len(names) + 1))
    assert (volume == -1).any() and (volume == 0).any()
    assert not (volume[~files.mask] > 0).any()
    tables = files.root / "nsddata/freesurfer" / files.name / "label"
    lines = (tables / f"{atlas}.mgz.ctab").read_text().splitlines()
    assert [line.split() for line in lines] == [
        [str(label), name] for label, name in enumerate(["Unknown", *names])
    ]
    absent = {name for label, name in enumerate(names, 1) if not (volume == label).any()}
    lacking_atlas, lacking = MISSING[files.subject]
    assert absent == ({lacking} if atlas == lacking_atlas else set())


def test_hemispheres_share_out_the_labels(files: Files) -> None:
    for atlas in LABELS:
        both, left, right = (files.roi(f"{side}{atlas}") for side in ("", "lh.", "rh."))
        assert np.array_equal(np.maximum(left, right), both)
        assert not ((left >= 0) & (right >= 0)).any()
        assert (left[: left.shape[0] // 2] == both[: left.shape[0] // 2]).all()


def test_some_voxels_are_zero(files: Files) -> None:
    always = np.all([(betas == 0).all(0) for betas in files.sessions], axis=0)
    assert always.any()
    assert np.array_equal(always, files.truth["dead"] == -1)
    once = np.any([(betas == 0).all(0) for betas in files.sessions], axis=0)
    assert np.array_equal(once, files.truth["dead"] != 0)
    assert once.mean() <= 0.01  # more than this and `prepare` refuses


def test_voxels_of_the_truth_are_in_c_order(files: Files) -> None:
    assert np.array_equal(files.truth["ijk"], np.argwhere(files.mask))
    labels = files.roi("prf-visualrois")[files.mask]
    names = np.array(files.names["areas"])[files.truth["area"]]
    for label, name in enumerate(LABELS["prf-visualrois"].split(), start=1):
        assert np.array_equal(labels == label, names == name)


def test_ncsnr_file_has_the_mask_shape(files: Files) -> None:
    image = nibabel.load(files.betas_folder / "ncsnr.nii.gz")
    assert image.shape == files.mask.shape
    assert not np.asarray(image.dataobj)[~files.mask].any()
