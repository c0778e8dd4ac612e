"""Betas and labels of `nsd_fixture`'s subject on a surface, written with nibabel and h5py alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import h5py
import nibabel
import numpy as np
from prepare.nsd_fixture import BETAS, RUNS, TinyNsd

SIDES = ("lh", "rh")
PER_SESSION = sum(RUNS)
TABLES = {
    "nsdgeneral": "0 Unknown\n1 nsdgeneral\n",
    "streams": "0 Unknown\n1 early\n2 midventral\n",
    "drawn": "0 Unknown\n1 A\n2 B\n",
}


@dataclass
class Surface:
    """What was written: labels by atlas, and betas (K, L + R) of every session."""

    data: TinyNsd
    space: str
    counts: tuple[int, int]
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    betas: list[np.ndarray] = field(default_factory=list)

    @property
    def label_folder(self) -> Path:
        own = "fsaverage" if self.space == "fsaverage" else f"subj{self.data.subject:02d}"
        return self.data.root / "nsddata/freesurfer" / own / "label"

    @property
    def beta_folder(self) -> Path:
        subject = f"subj{self.data.subject:02d}"
        return self.data.root / "nsddata_betas/ppdata" / subject / self.space / BETAS

    def halves(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """The last axis cut into hemispheres."""
        return dict(zip(SIDES, np.split(values, [self.counts[0]], axis=-1), strict=True))


def write_mgh(path: Path, values: np.ndarray) -> None:
    """(n,) or (n, K)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (len(values), 1, 1, *values.shape[1:])
    nibabel.save(nibabel.MGHImage(values.reshape(shape), np.eye(4)), path)


def write_label(path: Path, vertices: np.ndarray) -> None:
    rows = [f"{vertex} 1.5 -2.25 0.0 0.0" for vertex in vertices]
    path.write_text("\n".join(["#!ascii label, from subject", str(len(rows)), *rows]) + "\n")


def write_surface(
    data: TinyNsd, space: str = "fsaverage", counts: tuple[int, int] = (40, 40), seed: int = 0
) -> Surface:
    """Labels with tables, a FreeSurfer label, ncsnr, and a file of betas for each hemisphere."""
    random = np.random.default_rng(seed)
    made, total = Surface(data, space, counts), sum(counts)
    for name, highest in (("nsdgeneral", 1), ("streams", 7), ("drawn", 2)):
        made.labels[name] = random.integers(0, highest + 1, total).astype(np.int32)
        for side, half in made.halves(made.labels[name]).items():
            write_mgh(made.label_folder / f"{side}.{name}.mgz", half)
        (made.label_folder / f"{name}.mgz.ctab").write_text(TABLES[name])
    made.labels["MT_exvivo"] = (random.random(total) < 0.3).astype(np.int32)
    for side, half in made.halves(made.labels["MT_exvivo"]).items():
        write_label(made.label_folder / f"{side}.MT_exvivo.label", np.flatnonzero(half))
        # A map that is no atlas lies among the labels.
        write_mgh(made.label_folder / f"{side}.mean.mgz", random.random(len(half)).astype("f4"))
    signal = random.normal(size=(data.order.max(), total))
    for session in range(1, data.n_sessions + 1):
        shown = data.order[(session - 1) * PER_SESSION : session * PER_SESSION] - 1
        betas = (signal[shown] + random.normal(size=(PER_SESSION, total))).astype(np.float32)
        made.betas.append(betas)
        for side, half in made.halves(betas).items():
            write_mgh(made.beta_folder / f"{side}.betas_session{session:02d}.mgh", half.T)
    for side, half in made.halves(random.random(total).astype(np.float32)).items():
        write_mgh(made.beta_folder / f"{side}.ncsnr.mgh", half)
    return made


def write_hdf5(made: Surface, dtype: str = "float32") -> None:
    """The betas as HDF5 instead: (K, n) as MATLAB's (n, K) appears; int16 at 300 times."""
    for session, betas in enumerate(made.betas, start=1):
        for side, half in made.halves(betas).items():
            path = made.beta_folder / f"{side}.betas_session{session:02d}.mgh"
            path.unlink()
            values = np.round(half * 300).astype(np.int16) if dtype == "int16" else half
            with h5py.File(path.with_suffix(".hdf5"), "w") as file:
                file.create_dataset("betas", data=values, chunks=(len(values), 1))
