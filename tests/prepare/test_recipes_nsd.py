"""docs/recipes.md: NSD-synthetic and NSD-Imagery as further test sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.stats
from prepare import lab as labs
from prepare.recipes import Expected, check, picture, run

from mindeye_cli.prepare.arrays.run import ArraysOptions, prepare_arrays
from mindeye_store import open_store


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def trained(tmp_path: Path) -> labs.Lab:
    """The store that the further test sets of NSD take their voxels from."""
    lab = labs.make_lab()
    labs.write_nifti(tmp_path / "core", lab)
    options = ArraysOptions(
        folder=tmp_path / "core", store=tmp_path / "store.zarr", subject="subj01"
    )
    prepare_arrays(options)
    return lab


def further(folder: Path, name: str, n: int, random: np.random.Generator) -> np.ndarray:
    """Betas as NSD distributes them, int16 at 300 times percent, (N, Z, Y, X) to h5py."""
    place = f"nsd{name}betas_fithrf_GLMdenoise_RR"
    path = folder / f"nsddata_betas/ppdata/subj01/func1pt8mm/{place}/betas_nsd{name}.hdf5"
    path.parent.mkdir(parents=True)
    stored = random.integers(-900, 900, (n, *labs.SHAPE[::-1]), dtype=np.int16)
    with h5py.File(path, "w") as file:
        file["betas"] = stored
    return stored


def test_nsd_synthetic(
    tmp_path: Path,
    trained: labs.Lab,
    random: np.random.Generator,
    call_cli: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order = random.permutation(np.resize(np.arange(7), 16))
    stored = further(tmp_path, "synthetic", 16, random)
    stimuli = tmp_path / "nsddata_stimuli/stimuli/nsdsynthetic"
    stimuli.mkdir(parents=True)
    pixels = random.integers(0, 256, (7, 8, 12, 3), dtype=np.uint8)
    for name, part in (("stimuli", pixels[:4]), ("colorstimuli_subj01", pixels[4:])):
        with h5py.File(stimuli / f"nsdsynthetic_{name}.hdf5", "w") as file:
            file["imgBrick"] = part
    design = tmp_path / "nsddata/experiments/nsdsynthetic"
    design.mkdir(parents=True)
    scipy.io.savemat(design / "nsdsynthetic_expdesign.mat", {"masterordering": order[None] + 1})
    run("NSD-synthetic", tmp_path, call_cli, monkeypatch)
    opened = open_store(tmp_path / "synthetic.zarr")
    values = np.transpose(stored, (3, 2, 1, 0))[trained.mask].T / 300
    ids = [f"synthetic:{k}" for k in order]
    every = np.ones(16, dtype=bool)
    expected = Expected(values, ids, every, np.ones(16), {}, np.argwhere(trained.mask))
    check(opened.subject("subj01"), expected, list(opened.images.ids))
    first = opened.images.read(np.array([0]))[0]
    assert first.shape == (425, 425, 3)
    squared = 255 * (first.astype(float) / 255) ** 2
    assert abs(squared.mean() - pixels[order[0]][:, 2:10].mean()) < 12


def test_nsd_imagery(
    tmp_path: Path,
    trained: labs.Lab,
    random: np.random.Generator,
    call_cli: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three runs of pictures that were seen, among nine others; two events a run and column."""
    matrices = np.empty(12, dtype=object)
    image, keep = [], []
    for run_index in range(12):
        attention = run_index in (1, 4, 7)
        events = 24 if attention else 12
        used = np.sort(random.choice(40, 12 if attention else 6, replace=False))
        matrix = np.zeros((60, 40))
        cue = random.permutation(np.resize(np.arange(len(used)), events))
        matrix[np.sort(random.choice(60, events, replace=False)), used[cue]] = 1
        matrices[run_index] = matrix
        seen = run_index in (0, 3, 6)
        keep += [seen] * events
        if seen:
            image += [f"{'ABC'[run_index // 3]}{k + 1}.png" for k in cue]
    stored = further(tmp_path, "imagery", len(keep), random)
    design = tmp_path / "nsddata/experiments/nsdimagery"
    design.mkdir(parents=True)
    scipy.io.savemat(design / "designmatrixGLMsingle.mat", {"design": matrices[None]})
    for name in set(image):
        picture(tmp_path / "pictures" / name, random)
    run("NSD-Imagery", tmp_path, call_cli, monkeypatch)
    values = np.transpose(stored[np.array(keep)], (3, 2, 1, 0))[trained.mask].T / 300
    every = np.ones(len(image), dtype=bool)
    expected = Expected(values, image, every, np.ones(len(image)), {})
    opened = open_store(tmp_path / "imagery.zarr")
    check(opened.subject("subj01"), expected, list(opened.images.ids))
