"""Single-trial noise ceilings of a simulated brain, by NSD's formula on the files as written.

Everything is read back with nibabel and scipy and computed here from the definition. This
measurement fixes the simulator's signal-to-noise ratio.

    python benchmarks/simulator_ceiling.py OUT     # OUT: a folder written by `mindeye simulate`
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nibabel
import numpy as np
import scipy.io

BANDS = {
    "V1-V3": (0.20, 0.25),
    "category areas": (0.08, 0.15),
    "LO and VO": (0.08, 0.15),
}


def single_trial_ceiling(root: Path, subject: str) -> np.ndarray:
    """Noise ceiling of every nsdgeneral voxel, as a share of the variance."""
    space = root / "nsddata/ppdata" / subject / "func1pt8mm"
    mask = nibabel.load(space / "roi/nsdgeneral.nii.gz").get_fdata() > 0
    folder = root / "nsddata_betas/ppdata" / subject / "func1pt8mm/betas_fithrf_GLMdenoise_RR"
    scored = []
    for path in sorted(folder.glob("betas_session*.nii.gz")):
        betas = np.asarray(nibabel.load(path).dataobj)[mask].T / 300.0
        spread = betas.std(0, ddof=1)
        scored.append((betas - betas.mean(0)) / np.where(spread > 0, spread, np.nan))
    trials = np.concatenate(scored)
    design = scipy.io.loadmat(root / "nsddata/experiments/nsd/nsd_expdesign.mat")
    order = design["masterordering"].ravel()[: len(trials)]
    pictures, counts = np.unique(order, return_counts=True)
    variance = np.mean(
        [trials[order == picture].var(0, ddof=1) for picture in pictures[counts == 3]], axis=0
    )
    ncsnr = np.sqrt(np.maximum(0, 1 - variance)) / np.sqrt(variance)
    return ncsnr**2 / (ncsnr**2 + 1)


def main(root: Path) -> None:
    """Print median ceilings of tuned and untuned voxels, by group of areas and by area."""
    for archive in sorted((root / "truth").glob("subj*.npz")):
        subject = archive.stem
        names = json.loads((root / "truth" / f"{subject}.json").read_text())
        truth = np.load(archive)
        ceiling = single_trial_ceiling(root, subject)
        area = np.array(names["areas"])[truth["area"]]
        drive = np.array(names["drives"])[truth["area"]]
        tuned = truth["tuned"] & (truth["dead"] == 0)
        print(f"{subject}: {tuned.mean():.1%} of {len(tuned)} voxels tuned")
        groups = {
            "V1-V3": tuned & (drive == "gabor"),
            "hV4": tuned & (drive == "colour"),
            "category areas": tuned & (drive == "category"),
            "LO and VO": tuned & np.isin(drive, ["place", "surface"]),
            "untuned": ~tuned & (truth["dead"] == 0),
        }
        for name, voxels in groups.items():
            low, high = BANDS.get(name, (0.0, 1.0))
            median = float(np.nanmedian(ceiling[voxels]))
            verdict = "in its band" if low <= median <= high else "OUT OF ITS BAND"
            verdict = verdict if name in BANDS else ""
            print(f"  {name:16s} {voxels.sum():5d} voxels  median {median:6.1%} {verdict}")
        for name in dict.fromkeys(area[tuned]):
            values = ceiling[tuned & (area == name)]
            quarter, median, upper = np.nanpercentile(values, [25, 50, 75])
            print(f"    {name:10s} {len(values):5d}  {median:6.1%}  ({quarter:.1%} to {upper:.1%})")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
