"""An experiment of NSD's real size by NSD's rules, its tables alone: no voxels, no pixels.

30,000 trials in 40 sessions, 10,000 pictures a subject, three times each, 1,000 of them shared by
all eight; the order of presentation is drawn, so counts that depend on it are not NSD's own.
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import h5py
import nibabel
import numpy as np
import scipy.io

SESSIONS = (40, 40, 32, 30, 40, 32, 40, 30)
TRIALS, RUNS = 750, (63, 62) * 6
SHAPE = (2, 2, 2)
BETAS = "betas_fithrf_GLMdenoise_RR"


class RealSize:
    """The tables, and the oracle's view of them."""

    def __init__(self, root: Path, seed: int = 0) -> None:
        self.root = root
        random = np.random.default_rng(seed)
        numbers = random.permutation(73_000) + 1
        self.shared = np.sort(numbers[:1000])
        own = numbers[1000:].reshape(8, 9000)
        self.subjectim = np.stack([np.r_[self.shared, row] for row in own])
        self.order = random.permutation(np.repeat(np.arange(1, 10_001), 3))

    def picture(self, subject: int, sessions: int) -> np.ndarray:
        """73KID of every trial of the first sessions."""
        return self.subjectim[subject - 1, self.order[: sessions * TRIALS] - 1]

    @property
    def experiments(self) -> Path:
        return self.root / "nsddata/experiments/nsd"

    def write(self) -> None:
        """Everything that is not a subject's own."""
        self.experiments.mkdir(parents=True)
        pattern = np.zeros((40, 12, 75), np.uint8)
        for run, count in enumerate(RUNS):
            pattern[:, run, 3 : 3 + count] = 1
        tables = {
            "masterordering": self.order[None],
            "subjectim": self.subjectim,
            "sharedix": self.shared[None],
            "stimpattern": pattern,
        }
        scipy.io.savemat(self.experiments / "nsd_expdesign.mat", tables)
        stimuli = self.root / "nsddata_stimuli/stimuli/nsd"
        stimuli.mkdir(parents=True)
        with h5py.File(stimuli / "nsd_stimuli.hdf5", "w") as file:
            # Allocated but never filled: a sparse file of 40 GB that takes no room.
            layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            space = h5py.h5s.create_simple((73_000, 425, 425, 3))
            h5py.h5d.create(file.id, b"imgBrick", h5py.h5t.NATIVE_UINT8, space, dcpl=layout)

    def write_subject(self, subject: int) -> None:
        """A mask, and a file of betas for every session."""
        name = f"subj{subject:02d}"
        roi = self.root / "nsddata/ppdata" / name / "func1pt8mm/roi"
        betas = self.root / "nsddata_betas/ppdata" / name / "func1pt8mm" / BETAS
        roi.mkdir(parents=True)
        betas.mkdir(parents=True)
        ones = np.ones(SHAPE, np.int16)
        nibabel.save(nibabel.Nifti1Image(ones, np.eye(4)), roi / "nsdgeneral.nii.gz")
        first = betas / "betas_session01.nii.gz"
        zeros = np.zeros((*SHAPE, TRIALS), np.int16)
        nibabel.save(nibabel.Nifti1Image(zeros, np.eye(4)), first)
        for session in range(2, SESSIONS[subject - 1] + 1):
            shutil.copy(first, betas / f"betas_session{session:02d}.nii.gz")

    def write_table(self, subject: int) -> None:
        """`nsd_stim_info_merged.csv` with one subject's trials."""
        trials = np.zeros((73_000, 3), int)
        seen = np.zeros(73_000, int)
        for trial, number in enumerate(self.picture(subject, 40), start=1):
            trials[number - 1, seen[number - 1]] = trial
            seen[number - 1] += 1
        shared = np.isin(np.arange(1, 73_001), self.shared)
        with (self.experiments / "nsd_stim_info_merged.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            columns = [f"subject{subject}_rep{n}" for n in range(3)]
            writer.writerow(["", "cocoId", "nsdId", "shared1000", *columns])
            for nsd_id in range(73_000):
                row = [nsd_id, 9 * nsd_id, nsd_id, bool(shared[nsd_id])]
                writer.writerow([*row, *trials[nsd_id].tolist()])
