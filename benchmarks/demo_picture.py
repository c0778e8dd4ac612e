"""The README's picture: the demo's first test images, in the store's order.

    python benchmarks/demo_picture.py DEMO docs/demo.png

Columns: stimulus, low-level, high-level, both, and the control without information on the image.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from mindeye_cli.reconstruct.save import GRID_GAP, grid, read_png, write_png
from mindeye_store import open_store

COLUMNS = ("low-level", "high-level", "both", "prior-only")
TITLES = ("stimulus", "low-level", "high-level", "both", "no image")
SCALE, HEADER = 2, 22


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("demo", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, default=8)
    options = parser.parse_args()
    columns = []
    for name in COLUMNS:
        folder = options.demo / "recon" / name
        lines = json.loads((folder / "manifest.json").read_text())["images"][: options.rows]
        columns.append([read_png(folder / line["file"]) for line in lines])
    rows = [line["image_row"] for line in lines]
    stimuli = list(open_store(options.demo / "store.zarr").images.read(np.asarray(rows)))
    sheet = np.kron(grid([stimuli, *columns]), np.ones((SCALE, SCALE, 1), dtype=np.uint8))
    titled = np.full((sheet.shape[0] + HEADER, *sheet.shape[1:]), 255, dtype=np.uint8)
    titled[HEADER:] = sheet
    picture = Image.fromarray(titled)
    pen = ImageDraw.Draw(picture)
    width = (stimuli[0].shape[1] + GRID_GAP) * SCALE
    for k, title in enumerate(TITLES):
        pen.text((k * width + width // 2, HEADER // 2), title, fill="black", anchor="mm")
    write_png(options.out, np.asarray(picture))


if __name__ == "__main__":
    main()
