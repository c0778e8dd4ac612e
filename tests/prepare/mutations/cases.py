"""What a corruption is, the sound data that it is done to, and the list of all of them.

`refused`: exit 3 (4 where a file is gone) with one line and nothing written. `same`: legitimately
harmless, and the store must come out as from the sound data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from prepare import lab, packed
from prepare.nsd_fixture import write_tiny_nsd

Corrupt = Callable[[Path, np.random.Generator], None]
SUBJECT = {"nsd": "1", "webdataset": "1", "mindeye2": "1", "bids": "01"}


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
    FILES["bids"][0],
    FILES["nsd"][2],
    FILES["nsd"][3],
    FILES["nsd"][5],
}


def command(layout: str, folder: Path, store: Path) -> list[str]:
    """The command line that prepares a layout."""
    reader = layout if layout in SUBJECT else "arrays"
    return ["prepare", reader, str(folder), str(store), "--subject", SUBJECT.get(layout, "me")]


def bundle(layout: str) -> str:
    """Where the subject is in the store."""
    names = {"bids": "sub-01"} | dict.fromkeys(("nsd", "webdataset", "mindeye2"), "subj01")
    return f"subjects/{names.get(layout, 'me')}"


def all_cases() -> list[Case]:
    """Every corruption, in a fixed order."""
    from prepare.mutations import files, hdf5, nifti, npy, packed_data, tables, tar

    cases = [
        case
        for part in (files, npy, tar, packed_data, hdf5, nifti, tables)
        for case in part.cases()
    ]
    assert len({case.id for case in cases}) == len(cases), "names are unique"
    return cases
