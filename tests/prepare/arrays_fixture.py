"""A small folder of the bring-your-own layout."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.prepare.arrays.run import ArraysOptions, prepare_arrays
from mindeye_store import (
    Subject,
    open_store,
)

N_TRIALS, N_VOXELS, N_IMAGES = 40, 12, 10


def write_trials(folder: Path, rows: list[dict[str, Any]]) -> None:
    with (folder / "trials.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def trial_rows() -> list[dict[str, Any]]:
    """Trials of two sessions; images 7, 8 and 9 are for testing."""
    images = np.random.default_rng(1).permutation(np.resize(np.arange(N_IMAGES), N_TRIALS))
    return [
        {"image": int(image), "split": "test" if image > 6 else "train", "session": 1 + trial // 20}
        for trial, image in enumerate(images)
    ]


def write_folder(tmp_path: Path) -> Path:
    """Voxels, trials, pictures and voxel metadata."""
    folder, random = tmp_path / "data", np.random.default_rng(0)
    folder.mkdir()
    rows = trial_rows()
    signal = random.normal(size=(N_IMAGES, N_VOXELS))
    values = signal[[row["image"] for row in rows]] + random.normal(size=(N_TRIALS, N_VOXELS))
    np.save(folder / "voxels.npy", values.astype(np.float32))
    np.save(folder / "images.npy", random.integers(0, 256, (N_IMAGES, 6, 8, 3), dtype=np.uint8))
    write_trials(folder, rows)
    lines = ["x,y,z,area,number,ncsnr"]
    for voxel in range(N_VOXELS):
        area = ("V1", "V2", "")[voxel % 3]
        lines.append(f"{voxel},{2 * voxel},1,{area},{voxel % 3 - 1},{voxel / 10}")
    (folder / "voxels.csv").write_text("\n".join(lines) + "\n")
    return folder


def stored(folder: Path, **changes: Any) -> Subject:
    store = folder.parent / "s.zarr"
    prepare_arrays(ArraysOptions(folder=folder, store=store, subject="me", **changes))
    return open_store(store).subject("me")
