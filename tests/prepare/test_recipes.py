"""docs/recipes.md: every script runs on tiny files in its dataset's layout."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import nibabel
import numpy as np
import pytest
import scipy.io
import scipy.stats
from PIL import Image
from prepare import lab as labs

from mindeye_cli.prepare.arrays.run import ArraysOptions, prepare_arrays
from mindeye_store import Subject, open_store

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
RECIPES = {
    title.split(",")[0]: (script, command)
    for title, script, command in re.findall(
        r"^## ([^\n]+)\n.*?^```python\n(.*?)^```.*?^```bash\n(.*?)^```", PAGE, re.M | re.S
    )
}


@dataclass
class Expected:
    """What the store should hold."""

    values: np.ndarray  # (N, V), before any z-score
    image: list[str]  # by trial
    test: np.ndarray  # bool (N,)
    session: np.ndarray
    areas: dict[str, np.ndarray]  # bool (V,)
    ijk: np.ndarray | None = None


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def run(title: str, folder: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a recipe's script and its command that prepares."""
    script, commands = RECIPES[title]
    (folder / "recipe.py").write_text(script)
    warnings = ["-W", "error", "-W", "ignore::DeprecationWarning"]
    done = subprocess.run(
        [sys.executable, *warnings, "recipe.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(folder)
    line = commands.splitlines()[0].split()
    assert line[:3] == ["mindeye", "prepare", "arrays"]
    result = call_cli(*line[1:], "--max-invalid", "0.5")
    assert result.code == 0, result.stderr


def check(subject: Subject, expected: Expected, ids: list[str]) -> None:
    """Values z-scored by scipy, pictures, splits, sessions and areas."""
    wanted = np.empty_like(expected.values, dtype=np.float64)
    for number in np.unique(expected.session):
        mine = expected.session == number
        fitted = mine & ~expected.test if not expected.test.all() else mine
        wanted[mine] = scipy.stats.zmap(expected.values[mine], expected.values[fitted], axis=0)
    found = subject.voxels.read(np.arange(len(subject.voxels)))
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    assert [ids[k] for k in subject.image_index] == expected.image
    assert np.array_equal(subject.split == 1, expected.test)
    assert np.array_equal(subject.session, expected.session)
    for name, members in expected.areas.items():
        assert np.array_equal(subject.rois[name].labels > 0, members), name
    if expected.ijk is not None:
        assert np.array_equal(subject.ijk, expected.ijk)


def picture(path: Path, random: np.random.Generator, side: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(random.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)


def volume(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, labs.AFFINE), path)


def things(folder: Path, random: np.random.Generator) -> Expected:
    names = [f"dog_{k:02d}s.png" for k in range(6)] + ["sea_lion_01b.png"]
    shown = np.array([*range(6), 6, 6, *range(6), 6, 6])
    for k, name in enumerate(names):
        picture(folder / "object_images" / name.rsplit("_", 1)[0] / name, random, 8 + k)
    table = folder / "betas_csv"
    table.mkdir()
    betas = random.normal(size=(9, len(shown)))
    with h5py.File(table / "sub-01_ResponseData.h5", "w") as file:
        group = file.create_group("ResponseData")
        group["axis1"] = np.arange(9)
        group["block0_items"] = np.arange(len(shown))
        group["block0_values"] = betas
        group["block1_items"] = np.array([b"voxel_id"])
        group["block1_values"] = np.arange(9)[:, None]
    rows = [
        f"{'test' if k == 6 else 'train'},{1 + (n >= 8)},1,01,{n},{names[k]},x"
        for n, k in enumerate(shown)
    ]
    head = "trial_type,session,run,subject_id,trial_id,stimulus,concept"
    (table / "sub-01_StimulusMetadata.csv").write_text("\n".join([head, *rows]) + "\n")
    place = random.integers(0, 70, (9, 3))
    v1, ffa = np.arange(9) < 4, np.isin(np.arange(9), (5, 7))
    lines = [
        f"{k},1,{x},{y},{z},12.5,{int(v1[k])}.0,{int(ffa[k])}" for k, (x, y, z) in enumerate(place)
    ]
    head = "voxel_id,subject_id,voxel_x,voxel_y,voxel_z,nc_testset,V1,rFFA"
    (table / "sub-01_VoxelMetadata.csv").write_text("\n".join([head, *lines]) + "\n")
    kept = v1 | ffa
    return Expected(
        betas[kept].T,
        [names[k] for k in shown],
        shown == 6,
        1 + (np.arange(len(shown)) >= 8),
        {"V1": v1[kept], "rFFA": ffa[kept]},
        place[kept],
    )


def bold5000(folder: Path, random: np.random.Generator) -> Expected:
    shape = (4, 3, 2)
    mask = np.ones(shape, dtype=bool)
    mask[0] = False
    early, ppa = random.random(shape) < 0.5, random.random(shape) < 0.4
    for name, area in (("LHEarlyVis", early), ("RHPPA", ppa)):
        volume(folder / f"sub-CSI1/sub-CSI1_mask-{name}.nii.gz", area.astype(np.uint8))
    volume(folder / "CSI1_brainmask.nii.gz", mask.astype(np.uint8))
    names = [f"COCO_train2014_{k:012d}.png" for k in range(8)]
    shown = np.array([0, 1, 2, 3, 7, 4, 5, 6, 7])
    volumes = random.normal(size=(*shape, 9)).astype(np.float32)
    for number, part in ((1, volumes[..., :5]), (2, volumes[..., 5:])):
        file = f"CSI1_GLMbetas-TYPED-FITHRF-GLMDENOISE-RR_ses-{number:02d}.nii.gz"
        volume(folder / file, part)
    listed = [("rep_" if k == 7 else "") + names[k] for k in shown]
    (folder / "CSI1_imgnames.txt").write_text("\n".join(listed) + "\n")
    pictures = folder / "BOLD5000_Stimuli/Scene_Stimuli/Presented_Stimuli/COCO"
    for name in names:
        picture(pictures / name, random)
    kept = mask & (early | ppa)
    return Expected(
        volumes[kept].T,
        [names[k] for k in shown],
        shown == 7,
        np.array([1] * 5 + [2] * 4),
        {"LHEarlyVis": early[kept], "RHPPA": ppa[kept]},
        np.argwhere(kept),
    )


def god(folder: Path, random: np.random.Generator) -> Expected:
    labels = [1518878.005958, 1518878.000012, 1639765.052902, 1943899.024131]
    names = ["n01518878_5958", "n01518878_12", "n01639765_52902", "n01943899_24131"]
    kind = np.array([1, 1, 1, 2, 2, 3, 1, 1])
    shown = np.array([0, 1, 2, 3, 3, 3, 1, 0])
    voxels = random.normal(size=(8, 6))
    data = np.column_stack([voxels, kind, np.array(labels)[shown]])
    v1 = np.array([1, 1, 0, 0, 0, 0])
    lacks = np.full(2, np.nan)
    meta = {
        "VoxelData": [*np.ones(6), *lacks],
        "ROI_VC": [*(1, 1, 1, 1, 0, 0), *lacks],
        "ROI_V1": [*v1, *lacks],
        "DataType": [*np.full(6, np.nan), 1, np.nan],
        "stimulus_id": [*np.full(6, np.nan), np.nan, 1],
    }
    with h5py.File(folder / "Subject1.h5", "w") as file:
        file["dataset"] = data
        file["metadata/key"] = np.array([key.encode() for key in meta])
        file["metadata/value"] = np.array(list(meta.values()))
    for name in names:
        picture(folder / "pictures" / "images" / f"{name}.JPEG", random)
    seen = kind < 3
    return Expected(
        voxels[seen][:, :4],
        [f"{names[k]}.JPEG" for k in shown[seen]],
        kind[seen] == 2,
        np.ones(seen.sum()),
        {"V1": v1[:4] > 0},
    )


FAKE_PACKAGE = """
import numpy as np, pandas as pd
from PIL import Image
saved = np.load("saved.npz")
class Subject:
    def get_sessions(self): return ["ses-01", "ses-02"]
    def get_betas(self, session, roi):
        assert roi == "visual"
        return saved[session]
    def get_trial_info(self, session):
        return pd.DataFrame({"label": saved[session + "_label"], "run": 1})
class Stimuli:
    class images:
        get = staticmethod(lambda name: Image.new("RGB", (40, 40), len(name)))
load_subject, load_stimuli = lambda name: Subject(), Stimuli
"""


def laion(folder: Path, random: np.random.Generator) -> Expected:
    labels = np.array(["unique_a.jpg", "unique_b.jpg", "unique_c.jpg", "shared_d.png"])
    shown = np.array([0, 1, 2, 3, 2, 0, 1, 3])
    betas = random.normal(size=(8, 5)).astype(np.float32)
    saved = {}
    for name, part in (("ses-01", slice(0, 4)), ("ses-02", slice(4, 8))):
        saved |= {name: betas[part], f"{name}_label": labels[shown[part]]}
    np.savez(folder / "saved.npz", **saved)
    (folder / "laion_fmri.py").write_text(FAKE_PACKAGE)
    image = [label.rsplit(".", 1)[0] + ".png" for label in labels[shown]]
    return Expected(betas, image, shown == 3, np.repeat([1, 2], 4), {})


MAKERS: list[tuple[str, str, str, Callable[[Path, np.random.Generator], Expected]]] = [
    ("THINGS-fMRI", "things.zarr", "sub-01", things),
    ("BOLD5000", "bold5000.zarr", "CSI1", bold5000),
    ("Generic Object Decoding (GOD)", "god.zarr", "Subject1", god),
    ("LAION-fMRI", "laion.zarr", "sub-01", laion),
]


@pytest.mark.parametrize(("title", "store", "name", "make"), MAKERS, ids=[m[0] for m in MAKERS])
def test_a_dataset_of_its_own(
    title: str,
    store: str,
    name: str,
    make: Callable[[Path, np.random.Generator], Expected],
    tmp_path: Path,
    random: np.random.Generator,
    call_cli: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = make(tmp_path, random)
    run(title, tmp_path, call_cli, monkeypatch)
    opened = open_store(tmp_path / store)
    check(opened.subject(name), expected, list(opened.images.ids))


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


def test_every_recipe_is_tested() -> None:
    assert set(RECIPES) == {m[0] for m in MAKERS} | {"NSD-synthetic", "NSD-Imagery"}
