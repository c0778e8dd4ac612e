"""Steps and draws of the prior at inference: what fewer steps cost, and what averaging gains.

    python benchmarks/prior_steps.py STORE HIGH

Validation images alone. The centred cosine is that of the sampled tokens with the true image's,
both less the mean training target, flattened; an averaged sample has the SPACE's norm imposed after
the mean. 100 steps are the published ancestral sampler, fewer are DDIM.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from held_out import validation_rows
from numpy.typing import NDArray

from mindeye_cli.core.sampler import derived_seed
from mindeye_cli.core.threads import threads
from mindeye_cli.core.trials import average_voxels
from mindeye_cli.models.run_model import RunModel, load_run
from mindeye_store import open_store

Floats = NDArray[np.float32]


def cosine(made: Floats, true: Floats, mean: Floats) -> float:
    """Mean cosine of rows, less a common mean."""
    a, b = ((x - mean).reshape(len(x), -1).astype(np.float64) for x in (made, true))
    return float(np.mean((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)))


def sampled(run: RunModel, tokens: Floats, steps: int, samples: int) -> tuple[Floats, float]:
    """One sample an image, and CPU-milliseconds for each on one thread."""
    seeds = [derived_seed(0, "prior steps", k) for k in range(len(tokens))]
    started = time.process_time()
    made = run.sample_prior(tokens, seeds, steps, samples)
    return made, 1e3 * (time.process_time() - started) / len(tokens)


def main() -> None:
    """Print one line a pair of steps and draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("high", type=Path)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--steps", default="100,50,20,10,5")
    parser.add_argument("--samples", default="1,4,16")
    options = parser.parse_args()
    store, run = open_store(options.store), load_run(options.high)
    held = validation_rows(store, options.high)[: options.images]
    voxels, rows = average_voxels(store.subject(run.subject), "train")
    target = store.target(run.space)
    mean = np.asarray(target.read(np.setdiff1d(rows, held)), dtype=np.float32).mean(axis=0)
    true = np.asarray(target.read(held), dtype=np.float32)
    with threads(1):
        found = run.predict(voxels[np.searchsorted(rows, held)], outputs=("backbone", "retrieval"))
        print(f"{len(held)} validation images of {run.subject}, one thread")
        print(f"backbone's own tokens: centred cosine {cosine(found['backbone'], true, mean):.3f}")
        print("steps  draws  centred cosine  CPU-ms an image")
        for steps in map(int, options.steps.split(",")):
            for samples in map(int, options.samples.split(",")):
                made, pace = sampled(run, found["backbone"], steps, samples)
                print(f"{steps:5d}  {samples:5d}  {cosine(made, true, mean):14.3f}  {pace:15.1f}")


if __name__ == "__main__":
    main()
