"""One small made-up experiment, written in each layout in which a lab may have it.

Written with numpy, h5py and nibabel alone: no code is shared with the readers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import nibabel
import numpy as np
from PIL import Image

SHAPE = (4, 5, 3)
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
N_IMAGES, N_TRIALS = 10, 40


@dataclass
class Lab:
    """Trials of two sessions of two runs; images 7, 8 and 9 are for testing."""

    volumes: np.ndarray  # float32 (X, Y, Z, N)
    mask: np.ndarray  # bool (X, Y, Z)
    image: np.ndarray  # (N,)
    session: np.ndarray
    run: np.ndarray
    pixels: np.ndarray

    @property
    def matrix(self) -> np.ndarray:
        """Responses of the mask's voxels, (N, V), in C order of the mask."""
        return np.ascontiguousarray(self.volumes[self.mask].T)


def make_lab(seed: int = 0) -> Lab:
    random = np.random.default_rng(seed)
    image = random.permutation(np.resize(np.arange(N_IMAGES), N_TRIALS))
    signal = random.normal(size=(*SHAPE, N_IMAGES))
    volumes = signal[..., image] + random.normal(size=(*SHAPE, N_TRIALS))
    mask = np.random.default_rng(99).random(SHAPE) < 0.6  # of the person, whatever the seed
    volumes[~mask] = np.nan  # as GLMsingle leaves what it did not fit
    trial = np.arange(N_TRIALS)
    return Lab(
        volumes=volumes.astype(np.float32),
        mask=mask,
        image=image,
        session=1 + trial // 20,
        run=1 + trial // 10 % 2,
        pixels=random.integers(0, 256, (N_IMAGES, 6, 8, 3), dtype=np.uint8),
    )


def write_table(folder: Path, lab: Lab) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        f"{image},{'test' if image > 6 else 'train'},{session},{run}"
        for image, session, run in zip(lab.image, lab.session, lab.run, strict=True)
    ]
    (folder / "trials.csv").write_text("\n".join(["image,split,session,run", *rows]) + "\n")
    np.save(folder / "images.npy", lab.pixels)


def write_mask(path: Path, lab: Lab) -> None:
    nibabel.save(nibabel.Nifti1Image(lab.mask.astype(np.uint8), AFFINE), path)


def write_voxels(folder: Path, lab: Lab) -> None:
    write_table(folder, lab)
    np.save(folder / "voxels.npy", lab.matrix)
    places = [",".join(map(str, place)) for place in np.argwhere(lab.mask)]
    (folder / "voxels.csv").write_text("\n".join(["x,y,z", *places]) + "\n")


def write_python_glmsingle(folder: Path, lab: Lab) -> None:
    """Trials last, as GLMsingle in Python writes its results to HDF5."""
    write_table(folder, lab)
    write_mask(folder / "mask.nii.gz", lab)
    with h5py.File(folder / "TYPED_FITHRF_GLMDENOISE_RR.hdf5", "w") as file:
        file["betasmd"] = lab.volumes


def write_matlab_glmsingle(folder: Path, lab: Lab) -> None:
    """MATLAB 7.3: column-major, so that HDF5 shows the axes reversed."""
    write_table(folder, lab)
    write_mask(folder / "mask.nii.gz", lab)
    with h5py.File(folder / "TYPED_FITHRF_GLMDENOISE_RR.mat", "w", userblock_size=512) as file:
        file["modelmd"] = lab.volumes.T
        file["modelmd"].attrs["MATLAB_class"] = np.bytes_("single")


def write_flat_glmsingle(folder: Path, lab: Lab) -> None:
    """Of data that were a matrix to begin with: (V, 1, 1, N)."""
    write_table(folder, lab)
    with h5py.File(folder / "TYPED_FITHRF_GLMDENOISE_RR.h5", "w") as file:
        file["betasmd"] = lab.matrix.T[:, None, None]


def write_nifti(folder: Path, lab: Lab) -> None:
    write_table(folder, lab)
    write_mask(folder / "mask.nii.gz", lab)
    image = nibabel.Nifti1Image(np.nan_to_num(lab.volumes), AFFINE)
    nibabel.save(image, folder / "betas.nii.gz")


def write_bids(folder: Path, lab: Lab) -> None:
    """One file of betas a run, events beside it, pictures below stimuli/."""
    (folder / "stimuli/a").mkdir(parents=True)
    names = [f"{'a/' if number % 2 else ''}{number}.png" for number in range(N_IMAGES)]
    for name, pixels in zip(names, lab.pixels, strict=True):
        Image.fromarray(pixels).save(folder / "stimuli" / name)
    write_home = folder / "sub-01"
    write_home.mkdir()
    write_mask(write_home / "sub-01_space-T1w_desc-visual_mask.nii.gz", lab)
    for session in (1, 2):
        home = write_home / f"ses-{session:02d}/func"
        home.mkdir(parents=True)
        for run in (1, 2):
            mine = np.flatnonzero((lab.session == session) & (lab.run == run))
            stem = f"sub-01_ses-{session:02d}_task-nsd_run-{run}"
            volumes = np.nan_to_num(lab.volumes[..., mine])
            path = home / f"{stem}_space-T1w_desc-single_betas.nii.gz"
            nibabel.save(nibabel.Nifti1Image(volumes, AFFINE), path)
            rows = ["onset\tduration\tstim_file\tsplit", "0.0\t4.0\tn/a\tn/a"]
            for place, trial in enumerate(mine):
                split = "test" if lab.image[trial] > 6 else "train"
                shown = names[lab.image[trial]]
                rows.append(f"{4 * place + 4:.1f}\t3.0\tstimuli/{shown}\t{split}")
            (home / f"{stem}_events.tsv").write_text("\n".join(rows) + "\n")
