"""A brain without any signal: every score must be what chance gives.

    python benchmarks/null.py --seeds 20

Runs the whole path at `--snr 0` in a small size for many seeds, and prints for every score its
mean over the seeds beside the mean of its permuted pairing and the 95 % range of that mean
(Student's t over the seeds). About one score in twenty lies outside by luck alone: a real leak
stays outside with other seeds, `--first 20`.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from command import mindeye
from scipy.stats import t as student_t

SIZE = ("--images", 80, "--test", 20, "--voxels", 300)
TRAINING = {
    "high": ("--set", "optim.epochs=6", "--set", "optim.batch=32"),
    "low": ("--set", "optim.epochs=3"),
    "ridge": (),
}
KINDS = {"high": "high-level", "low": "low-level", "ridge": "ridge"}


def one_seed(folder: Path, seed: int) -> dict[str, tuple[float, float]]:
    """Scores of one seed: name to (score, mean of its permuted pairing)."""
    store = folder / "store.zarr"
    mindeye("simulate", folder / "nsd", "--snr", 0, "--seed", seed, *SIZE)
    mindeye("prepare", "nsd", folder / "nsd", store, "--subject", "subj01")
    found: dict[str, tuple[float, float]] = {}
    for space in ("scene-clip:tokens", "scene-vae"):
        mindeye("prepare", "targets", store, "--space", space)
    for run, changes in TRAINING.items():
        space = "scene-vae" if run == "low" else "scene-clip:tokens"
        common = ("--subject", "subj01", "--space", space, "--set", f"seed={seed}")
        mindeye("train", KINDS[run], store, folder / run, *common, *changes)
        if run != "low":
            scores = mindeye("retrieve", "pool", store, folder / run, "--pool", 20)
            for direction in ("image_retrieval", "brain_retrieval"):
                score = scores[direction]
                found[f"{run} {direction}"] = (score["top1"], score["permuted"]["mean"])
    both = ("--high", folder / "high", "--low", folder / "low")
    mindeye("reconstruct", store, folder / "r", *both, "--candidates", 2, "--steps", 6)
    metrics = mindeye("evaluate", folder / "r", "--store", store)["metrics"]
    for name, metric in metrics.items():
        permuted = metric["controls"].get("permuted")
        if permuted is not None and metric["value"] is not None:
            found[name] = (metric["value"], permuted["mean"])
    return found


def summary(values: list[tuple[float, float]]) -> tuple[float, float, float, bool]:
    """Mean score, mean of the permuted pairings, half-width of the 95 % range, inside or not."""
    differences = [score - chance for score, chance in values]
    half = student_t.ppf(0.975, len(values) - 1) * stdev(differences) / math.sqrt(len(values))
    return (
        mean(score for score, _ in values),
        mean(chance for _, chance in values),
        half,
        abs(mean(differences)) <= half,
    )


def main() -> None:
    """Print one line a score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="The first seed.")
    options = parser.parse_args()
    table: dict[str, list[tuple[float, float]]] = {}
    for seed in range(options.first, options.first + options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            scores: dict[str, Any] = one_seed(Path(folder), seed)
        for name, pair in scores.items():
            table.setdefault(name, []).append(pair)
    print(f"{'score':<28} {'mean':>8} {'chance':>8}  95 % range of the mean")
    for name, values in table.items():
        score, chance, half, inside = summary(values)
        verdict = "inside" if inside else "OUTSIDE"
        print(f"{name:<28} {score:>8.4f} {chance:>8.4f}  +- {half:.4f}  {verdict}")


if __name__ == "__main__":
    main()
