"""Retrieval on the simulated brain: the demo's own path for several seeds.

    python benchmarks/retrieval.py --seeds 0,1,2

Prints top-1 of a pool of 100 in both directions for the high-level run and for ridge, the permuted
pairing, and the means over seeds.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from command import mindeye

DIRECTIONS = ("image_retrieval", "brain_retrieval")


def one_seed(folder: Path, seed: int, runs: tuple[str, ...]) -> dict[str, Any]:
    """Simulate, prepare, train and retrieve with one seed."""
    store = folder / "store.zarr"
    tokens = ("--subject", "subj01", "--space", "scene-clip:tokens", "--set", f"seed={seed}")
    mindeye("simulate", folder / "nsd", "--seed", seed)
    mindeye("prepare", "nsd", folder / "nsd", store, "--subject", "subj01")
    mindeye("prepare", "targets", store, "--space", "scene-clip:tokens")
    scores = {}
    for run in runs:
        preset = ("--preset", "scene") if run == "high-level" else ()
        mindeye("train", run, store, folder / run, *tokens, *preset)
        scores[run] = mindeye("retrieve", "pool", store, folder / run, "--pool", 100)
    return scores


def main() -> None:
    """Print one line a seed and run, then the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--runs", default="high-level,ridge")
    options = parser.parse_args()
    runs = tuple(options.runs.split(","))
    table: dict[tuple[str, str], list[float]] = {}
    print("seed  run         direction        top-1  permuted")
    for seed in map(int, options.seeds.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            scores = one_seed(Path(folder), seed, runs)
        for run in runs:
            for direction in DIRECTIONS:
                score = scores[run][direction]
                table.setdefault((run, direction), []).append(score["top1"])
                permuted = score["permuted"]
                mean = permuted["mean"] if isinstance(permuted, dict) else permuted
                print(f"{seed:<5} {run:<11} {direction:<16} {score['top1']:.3f}  {mean:.4f}")
    for (run, direction), values in table.items():
        print(f"mean  {run:<11} {direction:<16} {sum(values) / len(values):.3f}")


if __name__ == "__main__":
    main()
