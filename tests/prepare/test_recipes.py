"""docs/recipes.md: every script runs on tiny files in its dataset's layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from prepare.recipes import RECIPES, Expected, check, picture, run, volume

from mindeye_store import open_store


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


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


def test_every_recipe_is_tested() -> None:
    assert set(RECIPES) == {m[0] for m in MAKERS} | {"NSD-synthetic", "NSD-Imagery"}
