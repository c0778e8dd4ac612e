"""The neighbour grid: each stimulus beside the images that its brain response retrieves."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mindeye_cli.core.atomic import write_bytes

SIDE = 96
FRAME = 4
GAP = 4
ROWS = 12
NEIGHBOURS = 5
RIGHT = (0, 140, 70)
OTHER = (205, 205, 205)


def spread_rows(ranks: NDArray[np.float64], rows: int = ROWS) -> list[int]:
    """Positions from the best to the worst rank in equal steps: a rule, not a choice."""
    order = np.argsort(ranks, kind="stable")
    steps = np.linspace(0, len(order) - 1, min(rows, len(order))).round().astype(int)
    return [int(order[step]) for step in steps]


def write_grid(path: Path, images: Any, table: list[dict[str, Any]]) -> None:
    """Write a PNG of stimulus | nearest images, the right one framed in green.

    Parameters
    ----------
    path : Path
    images : mindeye_store images
    table : list of dict
        The per-image table: `image_row`, `rank_image_retrieval`, `neighbours`.
    """
    ranks = np.asarray([entry["rank_image_retrieval"] for entry in table], dtype=np.float64)
    chosen = [table[position] for position in spread_rows(ranks)]
    cell = SIDE + 2 * FRAME + GAP
    columns = 1 + max(len(entry["neighbours"]) for entry in chosen)
    sheet = np.full((len(chosen) * cell, columns * cell, 3), 255, dtype=np.uint8)
    for r, entry in enumerate(chosen):
        shown = [entry["image_row"], *(other["image_row"] for other in entry["neighbours"])]
        for c, (row, pixels) in enumerate(zip(shown, images.read(np.asarray(shown)), strict=True)):
            right = c > 0 and row == entry["image_row"]
            framed = _framed(pixels, RIGHT if right else OTHER)
            top, left = r * cell, c * cell
            sheet[top : top + framed.shape[0], left : left + framed.shape[1]] = framed
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, format="PNG")
    write_bytes(path, buffer.getvalue())


def _framed(pixels: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    picture = np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    framed = np.empty((SIDE + 2 * FRAME, SIDE + 2 * FRAME, 3), dtype=np.uint8)
    framed[:] = colour
    framed[FRAME:-FRAME, FRAME:-FRAME] = picture
    return framed
