"""`voxels.csv`: a row per voxel with `x`, `y`, `z`, `ncsnr`, and a column per ROI atlas.

An atlas's column holds whole numbers (0 and below: none), or names (empty: none).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.prepare.tables import Table, read_table
from mindeye_cli.prepare.voxels import RoiLabels, VoxelTable
from mindeye_store.errors import InvalidInput

AXES = ("x", "y", "z")
NCSNR = "ncsnr"
_ATLAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_WHOLE = re.compile(r"-?\d+")
_LIMIT = np.iinfo(np.int16).max


def read_voxel_table(path: Path, n_voxels: int) -> VoxelTable:
    """Read the table; one that is absent says nothing of the voxels.

    Raises
    ------
    InvalidInput
        Another number of rows than voxels, or a value that does not fit its column.
    """
    if not path.exists():
        return VoxelTable(count=n_voxels)
    table = read_table(path, required=(), others=True)
    if len(table) != n_voxels:
        raise InvalidInput(
            f"{len(table)} rows for {n_voxels} voxels", where=f"{path} and voxels.npy"
        )
    axes = [axis for axis in AXES if axis in table.columns]
    if axes and len(axes) < len(AXES):
        raise InvalidInput(f"only {', '.join(axes)} of x, y, z", where=f"{path}, row 1")
    ijk = None
    if axes:
        columns = [_bounded(table, axis, table.integers(axis, least=-_LIMIT)) for axis in AXES]
        ijk = np.stack(columns, axis=1)
    atlases = [name for name in table.columns if name not in (*AXES, NCSNR)]
    return VoxelTable(
        count=n_voxels,
        ijk=ijk,
        rois={name: _labels(table, name) for name in atlases},
        file_ncsnr=_numbers(table, NCSNR) if NCSNR in table.columns else None,
    )


def _labels(table: Table, name: str) -> RoiLabels:
    if not _ATLAS.fullmatch(name):
        raise InvalidInput(
            f"{name!r} cannot name an atlas",
            where=f"{table.path}, row 1",
            fix="use letters, digits, '.', '_' and '-'",
        )
    texts = table.columns[name]
    if all(_WHOLE.fullmatch(text) for text in texts):
        labels = _bounded(table, name, table.integers(name, least=-_LIMIT))
        return RoiLabels(labels, {int(n): str(n) for n in np.unique(labels) if n > 0})
    names = sorted({text for text in texts if text})
    numbers = {text: number for number, text in enumerate(names, start=1)} | {"": 0}
    labels = _bounded(table, name, np.array([numbers[text] for text in texts], dtype=np.int64))
    return RoiLabels(labels, dict(enumerate(names, start=1)))


def _bounded(table: Table, column: str, values: NDArray[np.int64]) -> NDArray[np.int16]:
    if len(values) and values.max() > _LIMIT:
        row = int(np.argmax(values))
        raise InvalidInput(f"{values[row]} is above {_LIMIT}", where=table.where(row, column))
    return values.astype(np.int16)


def _numbers(table: Table, column: str) -> NDArray[np.float32]:
    values = np.empty(len(table), dtype=np.float32)
    for row, text in enumerate(table.columns[column]):
        try:
            values[row] = float(text)
        except ValueError as error:
            raise InvalidInput(
                f"{text!r} is not a number", where=table.where(row, column)
            ) from error
        if not np.isfinite(values[row]):
            raise InvalidInput(f"{text!r} is not finite", where=table.where(row, column))
    return values
