from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import scipy.io

from mindeye_cli.simulate.run import simulate
from mindeye_cli.simulate.settings import SimulateConfig

BETAS = "betas_fithrf_GLMdenoise_RR"


@dataclass(frozen=True)
class Files:
    """A simulation read back from its files alone, with none of the simulator's code."""

    root: Path
    subject: int = 1

    @property
    def name(self) -> str:
        return f"subj{self.subject:02d}"

    @property
    def space(self) -> Path:
        return self.root / "nsddata/ppdata" / self.name / "func1pt8mm"

    @property
    def betas_folder(self) -> Path:
        return self.root / "nsddata_betas/ppdata" / self.name / "func1pt8mm" / BETAS

    @property
    def experiments(self) -> Path:
        return self.root / "nsddata/experiments/nsd"

    def roi(self, name: str) -> np.ndarray:
        return np.asarray(nibabel.load(self.space / "roi" / f"{name}.nii.gz").dataobj)

    @cached_property
    def mask(self) -> np.ndarray:
        return self.roi("nsdgeneral") > 0

    @cached_property
    def volumes(self) -> list[Any]:
        return [nibabel.load(path) for path in sorted(self.betas_folder.glob("betas_session*"))]

    @cached_property
    def sessions(self) -> list[np.ndarray]:
        """Betas in percent signal change, (trials, voxels) per session."""
        return [np.asarray(image.dataobj)[self.mask].T / 300.0 for image in self.volumes]

    @cached_property
    def zscored(self) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return np.concatenate(
                [(betas - betas.mean(0)) / betas.std(0, ddof=1) for betas in self.sessions]
            )

    @cached_property
    def design(self) -> dict[str, np.ndarray]:
        return scipy.io.loadmat(self.experiments / "nsd_expdesign.mat")

    @property
    def order(self) -> np.ndarray:
        return self.design["masterordering"].ravel()

    @cached_property
    def truth(self) -> dict[str, np.ndarray]:
        return dict(np.load(self.root / "truth" / f"{self.name}.npz"))

    @cached_property
    def names(self) -> dict[str, Any]:
        return json.loads((self.root / "truth" / f"{self.name}.json").read_text())

    def tuned(self, drive: str) -> np.ndarray:
        """Living tuned voxels of the areas that `drive` drives."""
        truth = self.truth
        drives = np.array(self.names["drives"])[truth["area"]]
        return truth["tuned"] & (truth["dead"] == 0) & (drives == drive)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two subjects, few voxels, near-duplicates."""
    out = tmp_path_factory.mktemp("small") / "nsd"
    config = SimulateConfig(
        subjects=(1, 3), images=60, test=12, voxels=300, near_duplicates=2, seed=5
    )
    simulate(out, config)
    return out


@pytest.fixture(scope="session")
def default(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The default simulation: 3,000 voxels, 1,100 images."""
    out = tmp_path_factory.mktemp("default") / "nsd"
    simulate(out, SimulateConfig())
    return Files(out)


@pytest.fixture(params=[1, 3])
def files(small: Path, request: pytest.FixtureRequest) -> Files:
    return Files(small, request.param)
