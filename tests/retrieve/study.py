"""A tiny study on disk: a store with scenes, one subject and targets, and a finished ridge run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.core.runs import RunInfo, append_log, create_run, finish_run
from mindeye_cli.core.trials import mask_fingerprint
from mindeye_cli.models.ridge_model import fit
from mindeye_store import create_store

SPACE = "scene-clip:pooled"
SIDE, VOXELS, WIDTH, REPEATS = 16, 30, 8, 3
HOSTILE = '<script>alert("x")</script>'


@dataclass(frozen=True)
class Study:
    store: Path
    run: Path
    ids: list[str]
    pixels: np.ndarray
    test: np.ndarray


def build(
    folder: Path, *, train: int = 60, test: int = 12, noise: float = 0.5, source: str | None = None
) -> Study:
    """Voxels linear in the targets plus noise; image 0 of the test set has a hostile id."""
    draw = np.random.default_rng(0)
    n = train + test
    ids = [HOSTILE, *(f"img{k:03d}" for k in range(1, n))]
    pixels = draw.integers(0, 256, size=(n, SIDE, SIDE, 3), dtype=np.uint8)
    latent = draw.standard_normal((n, WIDTH)).astype(np.float32)
    store = create_store(folder / "store.zarr")
    records = [scene(k) for k in range(n)]
    store.add_images(ids, lambda k: pixels[k], (SIDE, SIDE, 3), records=records, plan={"n": n})
    index = np.repeat(np.arange(n), REPEATS)
    values = latent[index] @ draw.standard_normal((WIDTH, VOXELS))
    values = (values + noise * draw.standard_normal(values.shape)).astype(np.float32)
    arrays = {
        "voxels": values,
        "image_index": index,
        "session": np.ones(len(index), np.int16),
        "run": np.ones(len(index), np.int16),
        "repeat": np.tile(np.arange(REPEATS), n).astype(np.int16),
        "split": (index < test).astype(np.uint8),
        "ijk": np.stack([np.arange(VOXELS)] * 3, axis=1).astype(np.int16),
        "ncsnr": np.linspace(0, 1, VOXELS, dtype=np.float32),
        "roi/areas": (np.arange(VOXELS) // 10 + 1).astype(np.int16),
    }
    labels = {"areas": {"1": "A", "2": "B", "3": "C"}}
    known = {"SourceDatasets": [{"id": source}]} if source else {}
    _bundle(store, "subjects/s1", arrays, {"roi_labels": labels, **known})
    attrs = {"space": SPACE, "norm": "raw", "fingerprint": "encoder"}
    _bundle(store, f"targets/{SPACE}/0000", {"rows": latent + 2.0}, attrs)
    means = values.reshape(n, REPEATS, VOXELS).mean(axis=1)[test:]
    mask = mask_fingerprint(store.subject("s1"))
    run = _ridge(folder / "runs" / "ridge", means, latent[test:] + 2.0, mask, test)
    return Study(folder / "store.zarr", run, ids, pixels, np.arange(test))


def scene(k: int) -> dict[str, Any]:
    """As much of a scene's record as the judges read."""
    item = {"category": ("face", "house", "food")[k % 3], "colour": ("red", "blue")[k % 2]}
    return {"objects": [{**item, "x": 0.3 + 0.01 * (k % 9), "y": 0.5, "size": 0.4}]}


def _bundle(store: Any, name: str, arrays: dict[str, np.ndarray], attrs: dict[str, Any]) -> None:
    with store.write_bundle(name, plan={"name": name}, attrs=attrs) as writer:
        for key, value in arrays.items():
            writer.array(key, shape=value.shape, dtype=value.dtype).write_all(value)
        writer.publish()


def _ridge(run: Path, voxels: np.ndarray, targets: np.ndarray, mask: str, test: int) -> Path:
    model = fit(
        voxels,
        np.full(len(voxels), REPEATS),
        targets,
        alphas=(0.01, 0.1, 1.0),
        per_target=False,
        folds=3,
        whiten=False,
        seed=0,
    )
    info = RunInfo(
        kind="ridge",
        space=SPACE,
        subjects=("s1",),
        n_voxels=(VOXELS,),
        seed=0,
        voxels=("training voxels",),
        targets="encoder",
        details={
            "masks": [mask],
            "trained_images": list(range(test, test + len(voxels))),
            "target_norm": "raw",
            "target_shape": [WIDTH],
        },
        versions={"mindeye": "0"},
    )
    create_run(run, info, 'alpha = "shared"\n')
    for step in range(0, 50, 5):
        append_log(run, step=step, epoch=0, loss=2.0 / (1 + step), lr=1e-3)
        append_log(run, step=step, epoch=0, validation_loss=3.0 / (1 + step))
    append_log(run, step=50, epoch=1, error="no number", batch=["a"])
    finish_run(run, model.tensors(), steps=0, metrics={})
    return run
