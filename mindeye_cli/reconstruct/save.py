"""What a reconstruction leaves behind: PNGs, one tensor file, a grid picture, the manifest."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mindeye_cli.core.atomic import write_bytes, write_stream
from mindeye_cli.core.tensor_file import write_rows
from mindeye_cli.reconstruct.plan import Item, Plan

Pixels = NDArray[np.uint8]
# A batch's number, lines of the manifest, and the reason for each item that has no picture.
Done = tuple[int, list[dict[str, Any]], dict[str, str]]

GRID_GAP = 2
GRID_ROWS = 12


def write_png(path: Path, pixels: Pixels, control: str = "none") -> None:
    """Write one picture, (H, W, 3) uint8, whole or not at all.

    A control's picture says so in a text chunk, wherever it is copied.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer, said = io.BytesIO(), PngInfo()
    if control != "none":
        said.add_text("mindeye-control", control)
    Image.fromarray(pixels).save(buffer, format="PNG", pnginfo=said)
    write_bytes(path, buffer.getvalue())


def finite(values: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Which rows hold nothing but numbers; rounded to 8 bits, the others would look like pictures.

    Parameters
    ----------
    values : float array (n, ...)

    Returns
    -------
    bool array (n,)
    """
    return np.asarray(np.isfinite(values.reshape(len(values), -1)).all(axis=1))


def read_png(path: Path) -> Pixels:
    """Read a picture back as (H, W, 3) uint8."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.uint8)


def record(item: Item, out: Path, pixels: Any, control: str) -> dict[str, Any]:
    """Write an item's picture and return its line of the manifest."""
    file = Path("images") / f"{item.name}.png"
    write_png(out / file, pixels, control)
    return {
        "name": item.name,
        "id": item.image_id,
        "image_row": item.image_row,
        "trial_row": item.trial_row,
        "file": str(file),
        "seeds": list(item.seeds),
    }


def candidate_file(out: Path, name: str, k: int) -> Path:
    """Where candidate `k` of an item lies."""
    return out / "candidates" / name / f"{k:02d}.png"


def blurry_file(out: Path, name: str) -> Path:
    """Where the low-level picture of an item lies."""
    return out / "blurry" / f"{name}.png"


def write_tensors(path: Path, files: Sequence[Path], name: str = "images") -> None:
    """Write all pictures as one safetensors file for other people's metric scripts.

    The tensor `name` is (n, 3, H, W) uint8, in the order of `files`, of which one is in memory.
    """
    rows = (torch.from_numpy(read_png(file).transpose(2, 0, 1).copy()) for file in files)
    write_stream(path, lambda stream: write_rows(stream, name, rows, len(files)))


def grid(columns: Sequence[Sequence[Pixels]]) -> Pixels:
    """Lay pictures out in columns of equal height, at most `GRID_ROWS` rows.

    Parameters
    ----------
    columns : sequence of sequences of uint8 arrays (H, W, 3)
        Every picture is resized to the size of the first.

    Returns
    -------
    uint8 array (rows * (H + gap), columns * (W + gap), 3) on white.
    """
    height, width = columns[0][0].shape[:2]
    rows = min(GRID_ROWS, *(len(column) for column in columns))
    shape = (rows * (height + GRID_GAP), len(columns) * (width + GRID_GAP), 3)
    sheet = np.full(shape, 255, dtype=np.uint8)
    for c, column in enumerate(columns):
        for r, picture in enumerate(column[:rows]):
            if picture.shape[:2] != (height, width):
                picture = np.asarray(Image.fromarray(picture).resize((width, height)))
            top, left = r * (height + GRID_GAP), c * (width + GRID_GAP)
            sheet[top : top + height, left : left + width] = picture
    return sheet


def manifest(
    plan: Plan, records: Sequence[dict[str, Any]], errors: dict[str, str], environment: Any
) -> dict[str, Any]:
    """The record from which every picture can be traced and drawn again."""
    return {
        "manifest_version": 2,
        "command": "reconstruct",
        **plan.settings,
        **asdict(plan.rounding),
        "ids": [record["id"] for record in records],
        "image_rows": [record["image_row"] for record in records],
        "images": list(records),
        "failed": [item.image_id for item in plan.items if item.name in errors],
        "errors": errors,
        "environment": environment,
    }
