"""Strength of img2img on validation images: where low-level fidelity and meaning meet.

    python benchmarks/strength.py DEMO

DEMO is a folder that `mindeye demo` has left. The images are training images that the runs kept
for validation, so the test set plays no part. `scene-net`, the judge, is
printed for the reader; no choice may rest on it.
"""

from __future__ import annotations

import argparse
import tempfile
import tomllib
from pathlib import Path

from command import mindeye

from mindeye_cli.core.trials import training_trials
from mindeye_cli.train.facts import split_items
from mindeye_store import open_store

STRENGTHS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 1.0)
SHOWN = ("pixcorr", "ssim", "twoway_scene_clip", "twoway_scene_net")


def validation_ids(demo: Path) -> list[str]:
    """Ids of the training images that neither run was fitted on."""
    store = open_store(demo / "store.zarr")
    rows = training_trials(store, store.subject("subj01")).image_rows
    held = []
    for run in ("high", "low"):
        config = tomllib.loads((demo / "runs" / run / "config.toml").read_text())
        share = config["data"]["validation"]
        _, chosen = split_items(len(rows), share, config["seed"])
        held.append({int(row) for row in rows[chosen]})
    ids = store.images.ids
    return [ids[row] for row in sorted(held[0] & held[1])]


def main() -> None:
    """Print one line a strength."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("demo", type=Path)
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--candidates", type=int, default=4)
    options = parser.parse_args()
    ids = validation_ids(options.demo)[: options.images]
    store, runs = options.demo / "store.zarr", options.demo / "runs"
    print(f"{len(ids)} validation images, {options.candidates} candidates")
    print("strength  " + "  ".join(f"{name:>17}" for name in SHOWN))
    with tempfile.TemporaryDirectory() as folder:
        names = Path(folder, "ids.txt")
        names.write_text("\n".join(ids))
        for strength in STRENGTHS:
            out = Path(folder, f"{strength}")
            both = ("--high", runs / "high", "--low", runs / "low", "--split", "train")
            many = ("--candidates", options.candidates, "--strength", strength)
            mindeye("reconstruct", store, out, *both, *many, "--ids-from", names)
            scores = mindeye("evaluate", out, "--store", store)["metrics"]
            print(f"{strength:<9} " + "  ".join(f"{scores[n]['value']:>17.3f}" for n in SHOWN))


if __name__ == "__main__":
    main()
