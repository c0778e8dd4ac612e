"""From brain responses to the exact picture among a hundred thousand, in two stages.

    python benchmarks/end_to_end.py --seeds 0,1,2

A collection of scenes that no model saw is written as pictures together with the test images of
every seed, and indexed in `scene-clip:pooled`. For each seed a brain is simulated and two runs are
trained on it: one on `scene-clip:pooled`, which asks the index, and one on `scene-clip:tokens`,
which ranks the first 16 pictures again, as MindEye did in LAION-5B (2023, section 4.1). A test
image's scene is in the collection once.

`recall@16` is the share of responses whose own image is among the first 16; `coarse` and
`re-ranked` are the shares where it comes first, before and after the second stage; p is the sign
test of the pairs (one-sided). `permuted` asks for the image of the response that comes so many
places later, for every number of places: recall@16 and the range of 95 % of them.
"""

from __future__ import annotations

import argparse
import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from command import mindeye
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import binomtest

from mindeye_cli.app import main as command_line
from mindeye_cli.core.scenes import render, sample_scene, simulation_seed
from mindeye_cli.core.stats import mean_interval
from mindeye_cli.core.trials import image_trials
from mindeye_store import open_store

POOLED, TOKENS = "scene-clip:pooled", "scene-clip:tokens"
OTHERS = 1_000  # the collection's experiment number; those of --seeds lie below it
FOLDER = 5_000  # pictures of a folder
FIRST, CANDIDATES = 16, 300
Floats = NDArray[np.float64]


def write_scenes(folder: Path, count: int) -> None:
    """Scenes of an experiment of their own, one PNG each; what is there is kept."""
    for index in range(count):
        path = folder / f"{index // FOLDER:04d}" / f"{index:07d}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(render(sample_scene(simulation_seed(OTHERS, index)))).save(path)


def train(folder: Path, seed: int, images: int, test: int) -> NDArray[np.int64]:
    """A store and two runs of one seed; the store's rows of the test images."""
    store = folder / "store.zarr"
    size = ("--images", images, "--test", test, "--seed", seed)
    mindeye("simulate", folder / "nsd", *size)
    mindeye("prepare", "nsd", folder / "nsd", store, "--subject", "subj01")
    for name, space in (("pooled", POOLED), ("tokens", TOKENS)):
        mindeye("prepare", "targets", store, "--space", space)
        run = (store, folder / name, "--subject", "subj01", "--space", space)
        mindeye("train", "high-level", *run, "--set", f"seed={seed}")
    return image_trials(open_store(store).subject("subj01"), "test").image_rows


def write_test(folder: Path, store: Path, rows: NDArray[np.int64]) -> None:
    """The test images as the store holds them."""
    images = open_store(store).images
    folder.mkdir(parents=True, exist_ok=True)
    for row, pixels in zip(rows, images.read(rows), strict=True):
        if not (folder / f"{images.ids[row]}.png").exists():
            Image.fromarray(np.asarray(pixels)).save(folder / f"{images.ids[row]}.png")


def search(index: Path, folder: Path, pictures: Path) -> list[dict[str, Any]]:
    """Lines of `mindeye retrieve search` in two stages."""
    arguments = [
        *("retrieve", "search", index, "--store", folder / "store.zarr"),
        *("--run", folder / "pooled", "--rerank", folder / "tokens", "--pictures", pictures),
        *("--candidates", CANDIDATES, "--k", FIRST, "--offline", "--log-level", "warning"),
    ]
    out = io.StringIO()
    with redirect_stdout(out):
        if command_line([str(item) for item in arguments]) != 0:
            raise SystemExit("the search failed")
    return [json.loads(line) for line in out.getvalue().splitlines()]


def hits(lines: list[dict[str, Any]], prefix: str, order: NDArray[np.int64]) -> dict[str, Floats]:
    """What was found of each response's image; `order` says whose image is asked for."""
    found: dict[str, list[bool]] = {"recall@16": [], "coarse": [], "re-ranked": []}
    for line, asked in zip(lines, order, strict=True):
        own = f"{prefix}/{lines[asked]['query']}.png"
        names = [record["image_path"] for record in line["metadata"]]
        ranks = [record["coarse_rank"] for record in line["metadata"]]
        found["recall@16"].append(own in names)
        found["coarse"].append(names[ranks.index(min(ranks))] == own)
        found["re-ranked"].append(names[0] == own)
    return {name: np.array(values, np.float64) for name, values in found.items()}


def row(seed: str, found: dict[str, Floats], permuted: Floats) -> str:
    """One row of the table."""
    cells = []
    for values in found.values():
        low, high = mean_interval(values, np.arange(len(values)), seed=0)
        cells.append(f"{values.mean():.3f} ({low:.3f} to {high:.3f})")
    gained = int((found["re-ranked"] > found["coarse"]).sum())
    lost = int((found["re-ranked"] < found["coarse"]).sum())
    p = binomtest(gained, gained + lost, alternative="greater").pvalue if gained + lost else 1.0
    low, high = np.quantile(permuted, [0.025, 0.975])
    return (
        f"| {seed} | {len(values)} | {' | '.join(cells)} | {gained} to {lost}, p = {p:.2g} |"
        f" {permuted.mean():.5f} ({low:.3f} to {high:.3f}) |"
    )


def main() -> None:
    """Print Markdown: a row a seed, then all seeds together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--scenes", type=int, default=100_000)
    parser.add_argument("--images", type=int, default=1_000, help="Training images of a seed.")
    parser.add_argument("--test", type=int, default=200)
    parser.add_argument("--work", type=Path, default=Path("end-to-end-study"))
    options = parser.parse_args()
    work, pictures = options.work.resolve(), options.work.resolve() / "pictures"
    seeds = [int(seed) for seed in options.seeds.split(",")]
    write_scenes(pictures / "scenes", options.scenes)
    for seed in seeds:
        rows = train(work / f"seed-{seed}", seed, options.images, options.test)
        write_test(pictures / f"seed-{seed}", work / f"seed-{seed}" / "store.zarr", rows)
    facts = mindeye("retrieve", "index", pictures, work / "index", "--space", POOLED)
    print(f"{facts['n_vectors']} pictures, {facts['kind']}; chance of recall@16", end=" ")
    print(f"{FIRST / facts['n_vectors']:.5f}\n")
    print("| seed | responses | recall@16 | coarse | re-ranked | pairs | permuted recall@16 |")
    print("|---|---|---|---|---|---|---|")
    kept: list[tuple[dict[str, Floats], Floats]] = []
    for seed in seeds:
        lines = search(work / "index", work / f"seed-{seed}", pictures)
        own, prefix = np.arange(len(lines)), f"seed-{seed}"
        others = [
            hits(lines, prefix, np.roll(own, places))["recall@16"].mean()
            for places in range(1, len(lines))
        ]
        found = hits(lines, prefix, own), np.array(others)
        kept.append(found)
        print(row(str(seed), *found), flush=True)
    names = kept[0][0]
    together = {name: np.concatenate([found[name] for found, _ in kept]) for name in names}
    print(row("all", together, np.concatenate([permuted for _, permuted in kept])))


if __name__ == "__main__":
    main()
