"""`explain` on a subject of NSD's size: the encoding model beside himalaya's, then image by image.

    pip install himalaya
    python benchmarks/explain_speed.py WORK --rounds 3

8,859 training images and 982 others of 768 numbers, 15,724 voxels in 20 areas, and a ridge decoder.
`fit` is `models.encoding.fit_encoding` in memory, beside himalaya's `RidgeCV` on the same arrays,
folds and alphas, in turns. `first` is the whole first command, which reads the store, fits, and
keeps the model; the following commands of one image each read it back. All run in one process, so
start-up is left out. WORK keeps the store and the run.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from command import mindeye

from mindeye_cli.models.encoding import ALPHAS, FOLDS, decompose, fit_encoding, row_weights

TRAIN, TEST, WIDTH, VOXELS, AREAS = 8859, 982, 768, 15_724, 20
SPACE, SIGNAL = "array:pooled", 0.2


def make(work: Path) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, D) and responses (N, V) of the training images; the store and run of all."""
    draw = np.random.default_rng(0)
    spectrum = np.arange(1, WIDTH + 1) ** -0.5
    features = (draw.standard_normal((TRAIN + TEST, WIDTH)) * spectrum).astype(np.float32)
    weights = draw.standard_normal((WIDTH, VOXELS)).astype(np.float32)
    responses = features @ weights
    responses *= np.sqrt(SIGNAL / (1 - SIGNAL)) / responses.std(axis=0)
    responses += draw.standard_normal(responses.shape, dtype=np.float32)
    if not (work / "ridge").exists():
        prepare(work, features, responses, draw)
    return features[:TRAIN], responses[:TRAIN]


def prepare(
    work: Path, features: np.ndarray, responses: np.ndarray, draw: np.random.Generator
) -> None:
    """The bring-your-own layout, a store and a ridge decoder."""
    data, store = work / "data", work / "store.zarr"
    data.mkdir(parents=True)
    np.save(data / "voxels.npy", responses)
    np.save(data / "images.npy", draw.integers(0, 256, (TRAIN + TEST, 16, 16, 3), dtype=np.uint8))
    np.save(work / "features.npy", features)
    rows = [f"{k},{'train' if k < TRAIN else 'test'}" for k in range(TRAIN + TEST)]
    (data / "trials.csv").write_text("\n".join(["image,split", *rows]) + "\n")
    area = np.arange(VOXELS) * AREAS // VOXELS + 1
    place = np.unravel_index(np.arange(VOXELS), (25, 25, 26))
    lines = [f"{x},{y},{z},{a}" for x, y, z, a in zip(*place, area, strict=True)]
    (data / "voxels.csv").write_text("\n".join(["x,y,z,area", *lines]) + "\n")
    mindeye("prepare", "arrays", data, store, "--subject", "me")
    mindeye("prepare", "targets", store, "--space", SPACE, "--from", work / "features.npy")
    mindeye("train", "ridge", store, work / "ridge", "--subject", "me", "--space", SPACE)
    shutil.rmtree(data)


def seconds(call: Callable[[], Any]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compare(features: np.ndarray, responses: np.ndarray, rounds: int) -> None:
    """Both fits in turns."""
    from himalaya.ridge import RidgeCV

    counts = np.ones(len(features), dtype=np.int64)
    unit = decompose(features, row_weights(counts)).alpha_unit
    alphas = unit * np.array(ALPHAS)
    times: dict[str, list[float]] = {"here": [], "himalaya": []}
    theirs = RidgeCV(alphas=alphas, fit_intercept=True, cv=FOLDS)
    for _ in range(rounds):
        times["here"].append(seconds(lambda: fit_encoding(features, responses, counts)))
        times["himalaya"].append(seconds(lambda: theirs.fit(features, responses)))
    ours, other = (float(np.median(values)) for values in times.values())
    print(f"fit: {ours:.1f} s here, {other:.1f} s himalaya, {other / ours:.2f}x", flush=True)


def commands(work: Path, images: int) -> None:
    """The first command, then one image each, for one question and for all."""
    store, run = work / "store.zarr", work / "ridge"
    shutil.rmtree(run / "explain", ignore_errors=True)

    def ask(number: int, questions: str) -> Callable[[], Any]:
        what = ("explain", "image", store, run, f"image:{TRAIN + number}", "--ask", questions)
        return lambda: mindeye(*what)

    print(f"first: {seconds(ask(0, 'responds')):.1f} s", flush=True)
    for questions in ("responds", "responds,used,needed"):
        taken = [seconds(ask(k, questions)) for k in range(1, 1 + images)]
        line = f"{np.median(taken):.2f} s an image ({min(taken):.2f} to {max(taken):.2f})"
        print(f"{questions}: {line}", flush=True)


def main() -> None:
    """Print all times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--rounds", type=int, default=3, help="0: the commands alone")
    parser.add_argument("--images", type=int, default=7)
    options = parser.parse_args()
    features, responses = make(options.work)
    if options.rounds:
        compare(features, responses, options.rounds)
    del features, responses
    commands(options.work, options.images)


if __name__ == "__main__":
    main()
