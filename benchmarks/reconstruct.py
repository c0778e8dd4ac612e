"""Speed and memory of reconstruction: batches against single pictures, stages, prior, paper sizes.

    python benchmarks/reconstruct.py DEMO
    python benchmarks/reconstruct.py --device cuda

DEMO is a folder that `mindeye demo` has left. The same images are drawn by the same runs, one
picture at a time and in planned batches, in turns; figures are medians over the rounds. A batch of
one is what `plan.json` says: it is written by a first start and changed for the comparison. With
`--device cuda` networks of the paper's sizes with random weights are timed on the accelerator.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from command import mindeye

from mindeye_cli.core.sampler import derived_seed
from mindeye_cli.core.threads import threads
from mindeye_cli.core.trials import average_voxels
from mindeye_cli.models.run_model import load_run
from mindeye_store import open_store

# Seconds after which the prior's whole task is worked out from a part of it.
PATIENCE = 120.0
ALL_IMAGES, CANDIDATES = 982, 16


def arguments(demo: Path, out: Path, images: int, candidates: int) -> tuple[Any, ...]:
    """One reconstruction of the demo's first test images."""
    runs = ("--high", demo / "runs/high", "--low", demo / "runs/low")
    counts = ("--limit", images, "--candidates", candidates)
    return ("reconstruct", demo / "store.zarr", out, *runs, *counts)


def drawn(demo: Path, folder: Path, plan: dict[str, Any], candidates: int) -> dict[str, Any]:
    """Draw a plan's pictures into a new folder; the manifest's costs by stage."""
    folder.mkdir()
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    mindeye(*arguments(demo, folder, len(plan["items"]), candidates))
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    shutil.rmtree(folder)
    return dict(manifest["costs"])


def compare(demo: Path, images: int, candidates: int, rounds: int) -> None:
    """Print the pace at batch 1 and in planned batches, and the stages' shares and peaks."""
    found: dict[str, list[dict[str, Any]]] = {"one picture": [], "planned": []}
    with tempfile.TemporaryDirectory() as temporary:
        first = Path(temporary, "first")
        mindeye(*arguments(demo, first, images, candidates))
        planned = json.loads((first / "plan.json").read_text(encoding="utf-8"))
        plans = {"one picture": {**planned, "batch_items": 1}, "planned": planned}
        for number in range(rounds):
            for name, plan in plans.items():
                out = Path(temporary, f"{name}-{number}")
                found[name].append(drawn(demo, out, plan, candidates))
    pictures = images * candidates
    print(f"{images} images x {candidates} candidates, {rounds} rounds, medians")
    print(f"{'batch':<14}{'pictures/s':>12}{'CPU-s a picture':>18}")
    for name, costs in found.items():
        wall = median(sum(stage["seconds"] for stage in one.values()) for one in costs)
        busy = median(sum(stage["cpu_seconds"] for stage in one.values()) for one in costs)
        items = plans[name]["batch_items"]
        print(f"{items * candidates:<14}{pictures / wall:>12.2f}{busy / pictures:>18.3f}")
    print(f"{'stage':<14}{'share, 1':>10}{'share, batch':>14}{'peak MiB':>10}")
    for stage in found["planned"][0]:
        shares = [
            median(one[stage]["seconds"] / sum(s["seconds"] for s in one.values()) for one in costs)
            for costs in found.values()
        ]
        peak = max(one[stage]["peak_bytes"] or 0 for one in found["planned"]) / 2**20
        print(f"{stage:<14}{shares[0]:>10.1%}{shares[1]:>14.1%}{peak:>10.0f}")


def prior(demo: Path, part: int) -> None:
    """Print the time of all prior samples of the shared test set, the backbone once an image."""
    run = load_run(demo / "runs/high")
    voxels, _ = average_voxels(open_store(demo / "store.zarr").subject(run.subject), "test")
    rows = np.resize(np.arange(len(voxels)), ALL_IMAGES)
    started = time.perf_counter()
    tokens = run.predict(voxels[rows], outputs=("backbone",))["backbone"]
    backbone = time.perf_counter() - started
    repeated = np.repeat(np.arange(ALL_IMAGES), CANDIDATES)
    done, started = 0, time.perf_counter()
    while done < len(repeated) and time.perf_counter() - started < PATIENCE:
        chosen = repeated[done : done + part]
        seeds = [derived_seed(0, done + k) for k in range(len(chosen))]
        run.sample_prior(tokens[chosen], seeds)
        done += len(chosen)
    taken = time.perf_counter() - started
    print(f"backbone, once for each of {ALL_IMAGES} images: {backbone:.2f} s")
    print(f"prior, {done} of {len(repeated)} samples of 100 steps: {taken:.1f} s")
    if done < len(repeated):
        whole = taken * len(repeated) / done
        print(f"all of them, worked out from that part and not measured: {whole:.0f} s")


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("demo", type=Path, nargs="?")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--candidates", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, help="Default: torch's own.")
    parser.add_argument("--no-prior", action="store_true")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--sizes", default="paper", help="Of --device cuda; or tiny, on any device."
    )
    options = parser.parse_args()
    if options.demo is None:
        from paper_sizes import measure

        measure(options.device, options.sizes, options.rounds)
        return
    if options.device != "cpu":
        parser.error("--device is for paper sizes: a demo runs on the device that there is")
    with threads(options.threads) as count:
        print(f"{count} threads")
        compare(options.demo, options.images, options.candidates, options.rounds)
        if not options.no_prior:
            prior(options.demo, part=512)


if __name__ == "__main__":
    main()
