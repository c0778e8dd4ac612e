"""Slices of a map in the subject's own volume, turned so that left is left and up is front.

Colour-blind safe: blue below 0, red above, white at 0; voxels of low signal grey; what is no voxel
dark. The scale is symmetric and ends at the 99th percentile of the sizes.

Shapes: `V` voxels, `X Y Z` volume.
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mindeye_cli.core.atomic import write_bytes
from mindeye_cli.explain.pictures.space import Anatomy
from mindeye_store.errors import InvalidInput

Pixels = NDArray[np.uint8]
MOST_SLICES, COLUMNS, LEAST_SIDE, GAP = 20, 5, 128, 14
BACKGROUND, GREY = (24, 27, 31), (120, 120, 120)
# Ends and middle of the scale (the colours of ColorBrewer's RdBu, darker at the ends).
BELOW, MIDDLE, ABOVE = (33, 102, 172), (247, 247, 247), (178, 24, 43)
LEGEND = 34


def write_slices(
    path: Path, anatomy: Anatomy, values: NDArray[np.floating], grey: NDArray[np.bool_]
) -> None:
    """Draw a map as a montage of horizontal slices, PNG.

    Parameters
    ----------
    path : Path
    anatomy : Anatomy
        Of a volume.
    values : float array (V,)
    grey : bool array (V,)
        Voxels that are shown without a value.

    Raises
    ------
    InvalidInput
        No value is finite, or the data is a surface.
    """
    if anatomy.space == "fsaverage":
        raise InvalidInput("a surface has no slices", where=str(path))
    finite = np.isfinite(values)
    if not finite.any():
        raise InvalidInput("the map holds no number", where=str(path))
    limit = max(float(np.quantile(np.abs(values[finite]), 0.99)), 1e-12)
    volume = _upright(anatomy, anatomy.volume(values))
    dull = _upright(anatomy, anatomy.volume(grey.astype(np.float32))) == 1
    inside = np.isfinite(volume)
    box = [_ends(inside.any(axis=other)) for other in ((1, 2), (0, 2), (0, 1))]
    cut = tuple(slice(low, high + 1) for low, high in box)
    volume, dull = volume[cut], dull[cut]
    shown = np.unique(np.linspace(0, volume.shape[2] - 1, MOST_SLICES).round().astype(int))
    tiles = [_tile(volume[:, :, k], dull[:, :, k], limit) for k in shown]
    buffer = io.BytesIO()
    _montage(tiles, limit).save(buffer, format="PNG", optimize=True)
    write_bytes(path, buffer.getvalue())


def _upright(anatomy: Anatomy, volume: NDArray[np.float32]) -> NDArray[np.float32]:
    """The volume with axes left to right, back to front, below to above."""
    turns = nibabel.orientations.io_orientation(anatomy.affine)
    return np.asarray(nibabel.orientations.apply_orientation(volume, turns))


def _ends(there: Any) -> tuple[int, int]:
    places = np.flatnonzero(there)
    return int(places[0]), int(places[-1])


def _tile(values: NDArray[np.float32], dull: NDArray[np.bool_], limit: float) -> Image.Image:
    """One slice, front upwards."""
    pixels = colours(values / limit)
    pixels[dull] = GREY
    pixels[~np.isfinite(values)] = BACKGROUND
    upright = np.ascontiguousarray(pixels.swapaxes(0, 1)[::-1])
    scale = max(1, math.ceil(LEAST_SIDE / max(upright.shape[:2])))
    size = (upright.shape[1] * scale, upright.shape[0] * scale)
    return Image.fromarray(upright).resize(size, Image.Resampling.NEAREST)


def colours(values: NDArray[np.floating]) -> Pixels:
    """Values from -1 to 1 as RGB, uint8 (..., 3); beyond the ends they keep the ends' colour."""
    share = np.abs(np.clip(np.nan_to_num(values), -1, 1))[..., None]
    end = np.where((np.nan_to_num(values) < 0)[..., None], BELOW, ABOVE)
    return np.asarray((1 - share) * np.array(MIDDLE) + share * end).round().astype(np.uint8)


def _montage(tiles: list[Image.Image], limit: float) -> Image.Image:
    width, height = tiles[0].size
    columns = min(COLUMNS, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    sheet = Image.new("RGB", (columns * (width + GAP), rows * (height + GAP) + LEGEND), BACKGROUND)
    for number, tile in enumerate(tiles):
        sheet.paste(tile, (number % columns * (width + GAP), number // columns * (height + GAP)))
    _legend(sheet, limit)
    return sheet


def _legend(sheet: Image.Image, limit: float) -> None:
    """The scale with its ends, and which side is left."""
    draw = ImageDraw.Draw(sheet)
    top, middle = sheet.height - LEGEND + 4, sheet.width // 2
    half = min(120, sheet.width // 4)
    bar = colours(np.linspace(-1, 1, 2 * half))[None].repeat(10, axis=0)
    sheet.paste(Image.fromarray(bar), (middle - half, top))
    light = (230, 230, 230)
    draw.text((middle - half, top + 12), f"-{limit:.2g}", fill=light)
    draw.text((middle - 3, top + 12), "0", fill=light)
    draw.text((middle + half - 24, top + 12), f"{limit:.2g}", fill=light)
    draw.text((6, top), "left", fill=light)
    draw.text((sheet.width - 34, top), "right", fill=light)
