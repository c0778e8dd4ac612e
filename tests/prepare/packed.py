"""The made-up experiment of `lab.py` in the layouts of MindEye (2023) and MindEye2.

Written with numpy, tarfile, h5py and Pillow alone.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image
from prepare.lab import N_IMAGES, Lab

# NSD's number of each image, from 0; nothing else has these numbers.
IDS = np.array([40, 13, 27, 88, 5, 61, 72, 33, 90, 21])
Entry = tuple[tarfile.TarInfo, bytes]


def npy(values: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=True)
    return stream.getvalue()


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def entry(name: str, data: bytes) -> Entry:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mtime = 1.5  # a fraction makes tarfile write an extended header, as webdataset's do
    return info, data


def write_tar(path: Path, entries: Sequence[Entry]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as opened:
        for info, data in entries:
            opened.addfile(info, io.BytesIO(data))


def read_tar(path: Path) -> list[Entry]:
    with tarfile.open(path) as opened:
        return [(info, opened.extractfile(info).read()) for info in opened]  # type: ignore[union-attr]


def sample(lab: Lab, image: int, number: int) -> list[Entry]:
    shown = np.flatnonzero(lab.image == image)[:3]
    rows = np.r_[shown, np.repeat(shown[:1], 3 - len(shown))]
    key = f"sample{number:09d}"
    return [
        entry(f"{key}.jpg" if image == 2 else f"{key}.png", png(lab.pixels[image])),
        entry(f"{key}.nsdgeneral.npy", npy(lab.matrix[rows].astype(np.float16))),
        entry(f"{key}.wholebrain_3d.npy", b"never read"),
        entry(f"{key}.coco73k.npy", npy(np.array([IDS[image]]))),
        entry(f"{key}.trial.npy", npy(np.array(shown[0]))),
        entry(f"{key}.num_uniques.npy", npy(np.array([len(shown)]))),
    ]


def write_webdataset(folder: Path, lab: Lab) -> None:
    """Images 0 to 5 for training in two shards, 6 for validation, 7 to 9 for testing."""
    shards = {"train/train_subj01_0": [3, 0, 1], "train/train_subj01_1": [5, 2, 4]}
    shards |= {"val/val_subj01_0": [6], "test/test_subj01_0": [8, 7, 9]}
    for name, images in shards.items():
        entries = [item for n, image in enumerate(images) for item in sample(lab, image, n)]
        write_tar(folder / f"{name}.tar", entries)
    totals = {"train": 6, "val": 1, "test": 3}
    (folder / "metadata_subj01.json").write_text(json.dumps({"totals": totals}))


def behaviour(lab: Lab) -> np.ndarray:
    table = np.full((len(lab.image), 17), -1.0)
    table[:, 0], table[:, 1] = IDS[lab.image], 1
    table[:, 2], table[:, 3] = lab.session, lab.run
    table[:, 4], table[:, 5] = 1, np.arange(len(table))
    table[:, 16] = lab.image > 6
    return table


def behaviour_entries(rows: np.ndarray) -> list[Entry]:
    entries = []
    for number, row in enumerate(rows):
        key = f"sample{number:09d}"
        entries.append(entry(f"{key}.behav.npy", npy(row[None])))
        entries.append(entry(f"{key}.past_behav.npy", b"never read"))
    return entries


def write_mindeye2(folder: Path, lab: Lab) -> None:
    table, test = behaviour(lab), lab.image > 6
    home = folder / "wds/subj01"
    for session in (1, 2):
        rows = table[~test & (lab.session == session)]
        write_tar(home / f"train/{session - 1}.tar", behaviour_entries(rows))
    write_tar(home / "new_test/0.tar", behaviour_entries(table[test]))
    old = test & (lab.session == 1) & (lab.image != 9)
    write_tar(home / "test/0.tar", behaviour_entries(table[old]))
    with h5py.File(folder / "betas_all_subj01_fp32_renorm.hdf5", "w") as file:
        file["betas"] = lab.matrix
    images = np.zeros((100, 3, *lab.pixels.shape[1:3]), np.float16)
    images[IDS] = np.moveaxis(lab.pixels, 3, 1) / 255
    with h5py.File(folder / "coco_images_224_float16.hdf5", "w") as file:
        file["images"] = images


assert len(IDS) == N_IMAGES
