"""Every way in which NSD's files can be wrong, one function each."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable

import h5py
import nibabel
import numpy as np
from prepare.files import edit
from prepare.nsd_fixture import SHAPE, TinyNsd, write_design, write_volume

from mindeye_store import InvalidInput, MindeyeError, MissingResource

Break = Callable[[TinyNsd], None]


def truncated_gzip(data: TinyNsd) -> None:
    path = data.beta_file(2)
    path.write_bytes(path.read_bytes()[:-900])


def short_file(data: TinyNsd) -> None:
    path = data.beta_file(2)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-500]))


def flipped_bits(data: TinyNsd) -> None:
    content = bytearray(data.beta_file(3).read_bytes())
    content[-6] ^= 0xFF  # the checksum at the end of the stream
    data.beta_file(3).write_bytes(content)


def no_nifti(data: TinyNsd) -> None:
    data.beta_file(1).write_bytes(gzip.compress(b"not a volume" * 100))


def volume_count(data: TinyNsd) -> None:
    write_volume(data.beta_file(2), data.betas[1][..., :-1])


def three_axes(data: TinyNsd) -> None:
    write_volume(data.beta_file(2), data.betas[1][..., 0])


def other_shape(data: TinyNsd) -> None:
    write_volume(data.beta_file(2), data.betas[1][1:])


def scaled(data: TinyNsd) -> None:
    image = nibabel.Nifti1Image(data.betas[1], np.eye(4))
    image.header.set_slope_inter(1 / 300, 0)
    nibabel.save(image, data.beta_file(2))


def mask_shape(data: TinyNsd) -> None:
    write_volume(data.roi / "nsdgeneral.nii.gz", np.ones((5, 6, 5), np.float32))


def empty_mask(data: TinyNsd) -> None:
    write_volume(data.roi / "nsdgeneral.nii.gz", np.zeros(SHAPE, np.float32))


def no_mask(data: TinyNsd) -> None:
    (data.roi / "nsdgeneral.nii.gz").unlink()


def atlas_shape(data: TinyNsd) -> None:
    write_volume(data.roi / "streams.nii.gz", np.ones((5, 6, 5), np.float32))


def atlas_values(data: TinyNsd) -> None:
    write_volume(data.roi / "streams.nii.gz", np.full(SHAPE, 0.5, np.float32))


def ncsnr_shape(data: TinyNsd) -> None:
    write_volume(data.beta_folder / "ncsnr.nii.gz", np.ones((2, 2, 2), np.float32))


def label_table(data: TinyNsd) -> None:
    (data.root / "nsddata/freesurfer/subj01/label/streams.mgz.ctab").write_text("early 1\n")


def missing_session(data: TinyNsd) -> None:
    data.beta_file(2).unlink()


def no_betas(data: TinyNsd) -> None:
    shutil.rmtree(data.beta_folder)


def no_pictures(data: TinyNsd) -> None:
    next(data.root.rglob("nsd_stimuli.hdf5")).unlink()


def picture_file(data: TinyNsd) -> None:
    path = next(data.root.rglob("nsd_stimuli.hdf5"))
    path.write_bytes(path.read_bytes()[:5000])


def brick_name(data: TinyNsd) -> None:
    with h5py.File(next(data.root.rglob("nsd_stimuli.hdf5")), "w") as file:
        file["images"] = data.pixels


def brick_axes(data: TinyNsd) -> None:
    with h5py.File(next(data.root.rglob("nsd_stimuli.hdf5")), "w") as file:
        file["imgBrick"] = np.moveaxis(data.pixels, 3, 1)


def few_pictures(data: TinyNsd) -> None:
    with h5py.File(next(data.root.rglob("nsd_stimuli.hdf5")), "w") as file:
        file["imgBrick"] = data.pixels[: data.images.max()]


def no_design(data: TinyNsd) -> None:
    shutil.rmtree(data.experiments)


def damaged_design(data: TinyNsd) -> None:
    path = data.experiments / "nsd_expdesign.mat"
    path.write_bytes(path.read_bytes()[:300])


def zero_based(data: TinyNsd) -> None:
    write_design(data, masterordering=data.order[None] - 1.0)


def lacking_variable(data: TinyNsd) -> None:
    write_design(data, sharedix=None)


def few_columns(data: TinyNsd) -> None:
    write_design(data, subjectim=data.subjectim[:, :-1])


def few_subjects(data: TinyNsd) -> None:
    write_design(data, subjectim=np.zeros((0, 3)))


def not_whole(data: TinyNsd) -> None:
    write_design(data, sharedix=data.sharedix + 0.5)


def other_design(data: TinyNsd) -> None:
    write_design(data, masterordering=np.roll(data.order, 1)[None])


def other_shared(data: TinyNsd) -> None:
    write_design(data, sharedix=data.sharedix[:-1])


def shorter_design(data: TinyNsd) -> None:
    write_design(data, masterordering=data.order[None, :-1])


def long_sessions(data: TinyNsd) -> None:
    write_design(data, stimpattern=np.ones((3, 12, 75)))


def csv_column(data: TinyNsd) -> None:
    edit(data.experiments / "nsd_stim_info_merged.csv", "subject1_rep", "subject2_rep")


def csv_flag(data: TinyNsd) -> None:
    edit(data.experiments / "nsd_stim_info_merged.csv", "True", "maybe")


def csv_cell(data: TinyNsd) -> None:
    path = data.experiments / "nsd_stim_info_merged.csv"
    path.write_text(path.read_text().rstrip() + ",7\n")


def csv_trial(data: TinyNsd) -> None:
    path = data.experiments / "nsd_stim_info_merged.csv"
    lines = path.read_text().splitlines()
    shown = next(i for i in range(1, len(lines)) if not lines[i].endswith(",0,0"))
    cells = lines[shown].split(",")
    cells[-1] = cells[-2] = "5"
    lines[shown] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n")


def responses_picture(data: TinyNsd) -> None:
    path = data.ppdata / "behav/responses.tsv"
    lines = path.read_text().splitlines()
    cells = lines[5].split("\t")
    cells[4] = str(1 + int(cells[4]) % 60)
    lines[5] = "\t".join(cells)
    path.write_text("\n".join(lines) + "\n")


def responses_rows(data: TinyNsd) -> None:
    path = data.ppdata / "behav/responses.tsv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")


def responses_column(data: TinyNsd) -> None:
    edit(data.ppdata / "behav/responses.tsv", "73KID", "KID73")


def annotation_line(data: TinyNsd) -> None:
    folder = data.root / "nsddata_stimuli/stimuli/nsd"
    (folder / "scenes.jsonl").write_text('{"row": 1}\n{"row": 2, "words": "x"}\n')


def all_test(data: TinyNsd) -> None:
    write_design(data, sharedix=np.arange(1.0, 61.0)[None])
    (data.experiments / "nsd_stim_info_merged.csv").unlink()


CASES: list[tuple[Break, type[MindeyeError], str]] = [
    (truncated_gzip, InvalidInput, "betas_session02.nii.gz"),
    (short_file, InvalidInput, "volume 28 of 30"),
    (flipped_bits, InvalidInput, "betas_session03.nii.gz"),
    (no_nifti, InvalidInput, "betas_session01.nii.gz"),
    (volume_count, InvalidInput, "29 volumes but the design has 30"),
    (three_axes, InvalidInput, "not 4 axes"),
    (other_shape, InvalidInput, "session 2 have volumes of (4, 6, 4)"),
    (scaled, InvalidInput, "slope 0.00333"),
    (mask_shape, InvalidInput, "(5, 6, 5)"),
    (empty_mask, InvalidInput, "no voxel of nsdgeneral"),
    (no_mask, MissingResource, "--roi (custom, floc-faces"),
    (atlas_shape, InvalidInput, "streams"),
    (atlas_values, InvalidInput, "no labels"),
    (ncsnr_shape, InvalidInput, "ncsnr"),
    (label_table, InvalidInput, "line 1"),
    (missing_session, MissingResource, "--sessions 1,3"),
    (no_betas, MissingResource, "betas_sessionNN"),
    (no_pictures, MissingResource, "nsd_stimuli.hdf5"),
    (picture_file, InvalidInput, "HDF5"),
    (brick_name, InvalidInput, "imgBrick is missing"),
    (brick_axes, InvalidInput, "(60, 3, 10, 10)"),
    (few_pictures, InvalidInput, "the file holds"),
    (no_design, MissingResource, "nsd_expdesign.mat"),
    (damaged_design, InvalidInput, "MATLAB"),
    (zero_based, InvalidInput, "counts from 1"),
    (lacking_variable, InvalidInput, "key sharedix"),
    (few_columns, InvalidInput, "masterordering goes up to 20"),
    (few_subjects, InvalidInput, "subjectim"),
    (not_whole, InvalidInput, "whole numbers"),
    (other_design, InvalidInput, "disagree on"),
    (other_shared, InvalidInput, "sharedix names 4"),
    (shorter_design, InvalidInput, "89 and 90 trials"),
    (long_sessions, InvalidInput, "the sessions hold"),
    (csv_column, InvalidInput, "subject1_rep0"),
    (csv_flag, InvalidInput, "'maybe'"),
    (csv_cell, InvalidInput, "row 61"),
    (csv_trial, InvalidInput, "pictures instead of one"),
    (responses_picture, InvalidInput, "row 5 of it"),
    (responses_rows, InvalidInput, "29 rows"),
    (responses_column, InvalidInput, "'73KID'"),
    (annotation_line, InvalidInput, "line 2"),
    (all_test, InvalidInput, "0 training trials"),
]
