"""What a corruption is, the sound data that it is done to, and the list of all of them.

`refused`: exit 3 (4 where a file is gone) with one line and nothing written. `same`: legitimately
harmless, and the store must come out as from the sound data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from prepare import lab, nsd_formats, packed
from prepare.nsd_fixture import write_tiny_nsd
from prepare.nsd_surface import write_surface

Corrupt = Callable[[Path, np.random.Generator], None]
SUBJECT = {"nsd": "1", "webdataset": "1", "mindeye2": "1", "bids": "01"}
# `nsd-FORMAT` is `prepare nsd` on betas in another format.
NSD = "nsd-"


@dataclass(frozen=True)
class Case:
    """One corruption of one layout."""

    layout: str
    name: str
    corrupt: Corrupt
    expect: str = "refused"
    seed: int = 0

    @property
    def id(self) -> str:
        return f"{self.layout}: {self.name}"


def _nsd(folder: Path, _: lab.Lab) -> None:
    write_tiny_nsd(folder, n_sessions=2)


def _nsd_as(form: str, dtype: str, folder: Path, _: lab.Lab) -> None:
    """The tiny data set with every session in another format; floats are percent."""
    data = write_tiny_nsd(folder, n_sessions=2)
    scale = 1 if dtype == "int16" else 300
    nsd_formats.rewrite(data, form, lambda betas: (betas / scale).astype(dtype))


def _surface(folder: Path, _: lab.Lab) -> None:
    write_surface(write_tiny_nsd(folder, n_sessions=2))


def _pictures(folder: Path, data: lab.Lab) -> None:
    """`voxels.npy` with pictures as files."""
    from PIL import Image

    lab.write_voxels(folder, data)
    (folder / "images.npy").unlink()
    (folder / "images").mkdir()
    for number, pixels in enumerate(data.pixels):
        Image.fromarray(pixels).save(folder / f"images/{number}.png")
    lines = (folder / "trials.csv").read_text().splitlines()
    named = [line.replace(",", ".png,", 1) for line in lines[1:]]
    (folder / "trials.csv").write_text("\n".join([lines[0], *named]) + "\n")
    notes = [f'{{"image": "{n}.png", "caption": "picture {n}"}}' for n in range(lab.N_IMAGES)]
    (folder / "scenes.jsonl").write_text("\n".join(notes) + "\n")


WRITERS: dict[str, Callable[[Path, lab.Lab], None]] = {
    "nsd": _nsd,
    "nsd-hdf5": partial(_nsd_as, "hdf5 of NSD", "int16"),
    "nsd-mat73": partial(_nsd_as, "mat 7.3", "float32"),
    "nsd-mat5": partial(_nsd_as, "mat 5", "int16"),
    "nsd-packed": partial(_nsd_as, "mat 5, packed", "float32"),
    "nsd-surface": _surface,
    "arrays": lab.write_voxels,
    "pictures": _pictures,
    "glmsingle": lab.write_python_glmsingle,
    "matlab": lab.write_matlab_glmsingle,
    "volumes": lab.write_nifti,
    "bids": lab.write_bids,
    "webdataset": packed.write_webdataset,
    "mindeye2": packed.write_mindeye2,
}
BETAS = "nsddata_betas/ppdata/subj01/func1pt8mm/betas_fithrf_GLMdenoise_RR"
SURFACE_BETAS = BETAS.replace("func1pt8mm", "fsaverage")
LABELS = "nsddata/freesurfer/fsaverage/label"
EXPERIMENT = "nsddata/experiments/nsd"
FUNC = "sub-01/ses-01/func/sub-01_ses-01_task-nsd_run-1"
# Every file that a layout needs, relative to its folder.
FILES: dict[str, tuple[str, ...]] = {
    "nsd": (
        f"{BETAS}/betas_session02.nii.gz",
        "nsddata/ppdata/subj01/func1pt8mm/roi/nsdgeneral.nii.gz",
        f"{EXPERIMENT}/nsd_expdesign.mat",
        f"{EXPERIMENT}/nsd_stim_info_merged.csv",
        "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5",
        "nsddata/ppdata/subj01/behav/responses.tsv",
    ),
    "nsd-hdf5": (f"{BETAS}/betas_session02.hdf5",),
    "nsd-mat73": (f"{BETAS}/betas_session02.mat",),
    "nsd-mat5": (f"{BETAS}/betas_session02.mat",),
    "nsd-packed": (f"{BETAS}/betas_session02.mat",),
    "nsd-surface": (
        f"{SURFACE_BETAS}/rh.betas_session02.mgh",
        f"{LABELS}/lh.nsdgeneral.mgz",
        f"{SURFACE_BETAS}/lh.ncsnr.mgh",
    ),
    "arrays": ("voxels.npy", "trials.csv", "images.npy", "voxels.csv"),
    "pictures": ("images/3.png",),
    "glmsingle": ("TYPED_FITHRF_GLMDENOISE_RR.hdf5", "mask.nii.gz"),
    "matlab": ("TYPED_FITHRF_GLMDENOISE_RR.mat",),
    "volumes": ("betas.nii.gz",),
    "bids": (
        f"{FUNC}_space-T1w_desc-single_betas.nii.gz",
        f"{FUNC}_events.tsv",
        "sub-01/sub-01_space-T1w_desc-visual_mask.nii.gz",
        "stimuli/a/3.png",
    ),
    "webdataset": (
        "train/train_subj01_0.tar",
        "test/test_subj01_0.tar",
        "metadata_subj01.json",
    ),
    "mindeye2": (
        "betas_all_subj01_fp32_renorm.hdf5",
        "coco_images_224_float16.hdf5",
        "wds/subj01/train/0.tar",
        "wds/subj01/new_test/0.tar",
    ),
}
# Removing one of these makes other data, or the same: it is not a fault.
OPTIONAL = {
    "voxels.csv",
    "metadata_subj01.json",
    FILES["nsd"][0],
    FILES["nsd-hdf5"][0],
    FILES["nsd-mat5"][0],
    FILES["nsd-surface"][2],
    FILES["bids"][0],
    FILES["nsd"][2],
    FILES["nsd"][3],
    FILES["nsd"][5],
}


def command(layout: str, folder: Path, store: Path) -> list[str]:
    """The command line that prepares a layout."""
    kind = reader(layout)
    name = kind if kind in SUBJECT else "arrays"
    words = ["prepare", name, str(folder), str(store), "--subject", SUBJECT.get(kind, "me")]
    return words + (["--anatomy", "fsaverage"] if layout == "nsd-surface" else [])


def reader(layout: str) -> str:
    """The layout without the format of its betas."""
    return "nsd" if layout.startswith(NSD) else layout


def bundle(layout: str) -> str:
    """Where the subject is in the store."""
    names = {"bids": "sub-01"} | dict.fromkeys(("nsd", "webdataset", "mindeye2"), "subj01")
    return f"subjects/{names.get(reader(layout), 'me')}"


def all_cases() -> list[Case]:
    """Every corruption, in a fixed order."""
    from prepare.mutations import files, hdf5, nifti, npy, nsd_formats, packed_data, tables, tar

    cases = [
        case
        for part in (files, npy, tar, packed_data, hdf5, nifti, tables, nsd_formats)
        for case in part.cases()
    ]
    assert len({case.id for case in cases}) == len(cases), "names are unique"
    return cases
