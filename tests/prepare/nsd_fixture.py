"""A tiny data set in NSD's layout, written with nibabel, h5py and scipy only.

It shares no code with the simulator or the reader, so that both can be tested against it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import nibabel
import numpy as np
import scipy.io

BETAS = "betas_fithrf_GLMdenoise_RR"
SHAPE = (5, 6, 4)
RUNS = (3, 2) * 6  # 12 runs, 30 trials a session
N_PICTURES, N_SHARED, N_BRICK = 20, 5, 60
SIZE = 10


@dataclass
class TinyNsd:
    """What was written, in the terms of the test's own oracle."""

    root: Path
    n_sessions: int = 3
    subject: int = 1
    betas: list[np.ndarray] = field(default_factory=list)
    order: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    subjectim: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    sharedix: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    mask: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    pixels: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))

    @property
    def ppdata(self) -> Path:
        return self.root / f"nsddata/ppdata/subj{self.subject:02d}"

    @property
    def roi(self) -> Path:
        return self.ppdata / "func1pt8mm/roi"

    @property
    def experiments(self) -> Path:
        return self.root / "nsddata/experiments/nsd"

    @property
    def beta_folder(self) -> Path:
        return self.root / f"nsddata_betas/ppdata/subj{self.subject:02d}/func1pt8mm/{BETAS}"

    def beta_file(self, session: int) -> Path:
        return self.beta_folder / f"betas_session{session:02d}.nii.gz"

    @property
    def images(self) -> np.ndarray:
        """Row of imgBrick of every trial, from 0."""
        return self.subjectim[self.subject - 1][self.order - 1] - 1

    @property
    def is_test(self) -> np.ndarray:
        return np.isin(self.images, self.sharedix - 1)


def write_volume(path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine), path)


def write_tiny_nsd(root: Path, *, seed: int = 0, n_sessions: int = 3) -> TinyNsd:
    """Write everything `prepare nsd` can use for subject 1."""
    random = np.random.default_rng(seed)
    data = TinyNsd(root, n_sessions=n_sessions)
    n_trials = n_sessions * sum(RUNS)
    data.order = random.permutation(np.resize(np.arange(1, N_PICTURES + 1), n_trials))
    own = random.permutation(N_BRICK)
    shared, others = own[:N_SHARED], own[N_SHARED:]
    data.subjectim = np.zeros((8, N_PICTURES), int)
    for row in range(8):
        chosen = random.permutation(others)[: N_PICTURES - N_SHARED]
        data.subjectim[row] = np.concatenate([shared, chosen]) + 1
    data.sharedix = np.sort(shared + 1)
    data.pixels = random.integers(0, 256, (N_BRICK, SIZE, SIZE, 3), dtype=np.uint8)
    write_design(data)
    write_stimulus_table(data)
    write_responses(data)
    write_pictures(data)
    write_rois(data, random)
    signal = random.normal(size=(N_PICTURES, *SHAPE))
    for session in range(n_sessions):
        shown = data.order[session * sum(RUNS) : (session + 1) * sum(RUNS)] - 1
        values = 0.7 * signal[shown] + random.normal(size=(len(shown), *SHAPE)) + 0.3 * session
        betas = np.moveaxis(np.round(300 * values), 0, -1).astype(np.int16)
        data.betas.append(betas)
        write_volume(data.beta_file(session + 1), betas)
    write_volume(data.beta_folder / "ncsnr.nii.gz", random.random(SHAPE).astype(np.float32))
    return data


def write_design(data: TinyNsd, **changes: np.ndarray) -> None:
    data.experiments.mkdir(parents=True, exist_ok=True)
    pattern = np.zeros((data.n_sessions, len(RUNS), 75), np.uint8)
    for run, count in enumerate(RUNS):
        pattern[:, run, 3 : 3 + count] = 1
    content = {
        "masterordering": data.order[None].astype(float),
        "subjectim": data.subjectim.astype(float),
        "sharedix": data.sharedix[None].astype(float),
        "stimpattern": pattern,
    }
    content |= changes
    kept = {name: values for name, values in content.items() if values is not None}
    scipy.io.savemat(data.experiments / "nsd_expdesign.mat", kept)


def write_stimulus_table(data: TinyNsd) -> None:
    header = ["", "cocoId", "cocoSplit", "cropBox", "loss", "nsdId", "flagged", "BOLD5000"]
    header += ["shared1000"]
    repeats = 1 + max(np.bincount(data.order)) // 1
    header += [f"subject1_rep{repeat}" for repeat in range(repeats)]
    with (data.experiments / "nsd_stim_info_merged.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        for picture in range(N_BRICK):
            trials = list(np.flatnonzero(data.images == picture) + 1)
            trials += [0] * (repeats - len(trials))
            row = [picture, 1000 + picture, "train2017", "(0, 0, 0, 0)", 0.0, picture]
            row += [False, False, picture + 1 in data.sharedix]
            writer.writerow([*row, *trials])


def write_responses(data: TinyNsd) -> None:
    path = data.ppdata / "behav/responses.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t")
        writer.writerow(["SUBJECT", "SESSION", "RUN", "TRIAL", "73KID", "10KID", "RT"])
        trial = 0
        for session in range(1, data.n_sessions + 1):
            for run, count in enumerate(RUNS, start=1):
                for place in range(1, count + 1):
                    row = [1, session, run, place, data.images[trial] + 1, data.order[trial]]
                    writer.writerow([*row, "NaN"])
                    trial += 1


def write_pictures(data: TinyNsd) -> None:
    path = data.root / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["imgBrick"] = data.pixels


def write_rois(data: TinyNsd, random: np.random.Generator) -> None:
    affine = np.diag([1.8, 1.8, 1.8, 1.0])
    affine[:3, 3] = (-4.5, -5.4, -3.6)
    data.mask = (random.random(SHAPE) < 0.5).astype(np.int16) - (random.random(SHAPE) < 0.1)
    write_volume(data.roi / "nsdgeneral.nii.gz", data.mask.astype(np.float32), affine)
    labels = data.root / "nsddata/freesurfer/subj01/label"
    labels.mkdir(parents=True, exist_ok=True)
    for name, highest in (("prf-visualrois", 7), ("floc-faces", 5), ("streams", 7), ("custom", 2)):
        values = random.integers(-1, highest + 1, SHAPE).astype(np.float32)
        write_volume(data.roi / f"{name}.nii.gz", values)
        write_volume(data.roi / f"lh.{name}.nii.gz", values)
    (labels / "prf-visualrois.mgz.ctab").write_text(
        "0 Unknown\n1 V1v\n2 V1d\n3 V2v\n4 V2d\n5 V3v\n6 V3d\n7 hV4\n"
    )
    (labels / "streams.mgz.ctab").write_text("0 Unknown\n1 one\n2 two\n")
