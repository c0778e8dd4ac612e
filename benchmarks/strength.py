"""Strength of img2img on validation images: where low-level fidelity and meaning meet.

    python benchmarks/strength.py DEMO --plot docs/strength.png

DEMO is a folder that `mindeye demo` has left. The images are training images that both runs kept
for validation, so the test set plays no part. Chosen is the strength of the highest PixCorr among
those that lose nothing of the best `scene-clip` two-way score, to three decimals. `scene-net`, the
judge, is printed for the reader; no choice may rest on it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from command import mindeye
from held_out import validation_rows
from PIL import Image, ImageDraw
from scipy.stats import spearmanr

from mindeye_store import open_store

STRENGTHS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 1.0)
SHOWN = ("pixcorr", "ssim", "twoway_scene_clip", "twoway_scene_net")
COLOURS = ("#1f5fa8", "#7aa6d6", "#c9812e", "#a83232")
WIDTH, HEIGHT, MARGIN = 720, 420, 56

Scores = dict[str, list[float]]


def validation_ids(demo: Path) -> list[str]:
    """Ids of the training images that neither run was fitted on."""
    store = open_store(demo / "store.zarr")
    held = [set(validation_rows(store, demo / "runs" / run).tolist()) for run in ("high", "low")]
    return [store.images.ids[row] for row in sorted(held[0] & held[1])]


def measure(demo: Path, ids: list[str], candidates: int, strengths: tuple[float, ...]) -> Scores:
    """Scores at every strength; prints one line each."""
    store, runs = demo / "store.zarr", demo / "runs"
    found: Scores = {name: [] for name in SHOWN}
    with tempfile.TemporaryDirectory() as folder:
        names = Path(folder, "ids.txt")
        names.write_text("\n".join(ids), encoding="utf-8")
        for strength in strengths:
            out = Path(folder, f"{strength}")
            both = ("--high", runs / "high", "--low", runs / "low", "--split", "train")
            many = ("--candidates", candidates, "--strength", strength)
            mindeye("reconstruct", store, out, *both, *many, "--ids-from", names)
            scores = mindeye("evaluate", out, "--store", store)["metrics"]
            for name in SHOWN:
                found[name].append(scores[name]["value"])
            line = "  ".join(f"{found[name][-1]:>17.3f}" for name in SHOWN)
            print(f"{strength:<9} {line}", flush=True)
    return found


def choice(strengths: tuple[float, ...], found: Scores) -> float:
    """The strength that these scores recommend."""
    meaning = np.round(found["twoway_scene_clip"], 3)
    fidelity = np.where(meaning == meaning.max(), found["pixcorr"], -np.inf)
    return strengths[int(fidelity.argmax())]


def plot(path: Path, strengths: tuple[float, ...], found: Scores) -> None:
    """Draw the scores over strength."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), "white")
    pen = ImageDraw.Draw(picture)
    bottom, right = HEIGHT - MARGIN, WIDTH - 3 * MARGIN
    low = np.floor(min(map(min, found.values())) * 10) / 10

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            MARGIN + x * (right - MARGIN),
            bottom - (y - low) / (1.0 - low) * (bottom - MARGIN),
        )

    for value in np.linspace(low, 1.0, 6):
        pen.line([place(0.0, value), place(1.0, value)], fill="#dddddd")
        pen.text((MARGIN - 8, place(0.0, value)[1]), f"{value:.2f}", fill="black", anchor="rm")
    for strength in (0.0, 0.25, 0.5, 0.75, 1.0):
        pen.text((place(strength, low)[0], bottom + 12), f"{strength}", fill="black", anchor="mm")
    pen.text(((MARGIN + right) / 2, HEIGHT - 16), "strength", fill="black", anchor="mm")
    for (name, values), colour in zip(found.items(), COLOURS, strict=True):
        points = [place(x, y) for x, y in zip(strengths, values, strict=True)]
        pen.line(points, fill=colour, width=3)
        for x, y in points:
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)
        pen.text((right + 10, points[-1][1]), name, fill=colour, anchor="lm")
    picture.save(path)


def main() -> None:
    """Print one line a strength, the rank correlation, and draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("demo", type=Path)
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--candidates", type=int, default=4)
    parser.add_argument("--strengths", default=",".join(map(str, STRENGTHS)))
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    strengths = tuple(map(float, options.strengths.split(",")))
    ids = validation_ids(options.demo)[: options.images]
    print(f"{len(ids)} validation images, {options.candidates} candidates")
    print("strength  " + "  ".join(f"{name:>17}" for name in SHOWN))
    found = measure(options.demo, ids, options.candidates, strengths)
    for name in ("pixcorr", "twoway_scene_net"):
        print(f"Spearman of {name} with strength: {spearmanr(strengths, found[name])[0]:.3f}")
    print(f"chosen: {choice(strengths, found)}")
    if options.plot is not None:
        plot(options.plot, strengths, found)


if __name__ == "__main__":
    main()
