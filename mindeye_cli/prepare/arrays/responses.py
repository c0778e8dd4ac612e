"""`voxels.npy`: responses, one row a trial, read from disk as they are needed.

Shapes: `N` trials, `V` voxels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.prepare.npy import FORMAT_ERRORS, reason
from mindeye_cli.prepare.voxels import Floats, Rows
from mindeye_store.errors import InvalidInput, MissingResource


@dataclass(frozen=True, slots=True)
class Responses:
    """A memory-mapped array (N, V)."""

    values: NDArray[Any]

    @property
    def shape(self) -> tuple[int, int]:
        """`N` and `V`."""
        return self.values.shape[0], self.values.shape[1]

    def read(self, rows: Rows) -> Floats:
        """Responses of trials, float32 (len(rows), V)."""
        with np.errstate(over="ignore"):
            return np.asarray(self.values[rows], dtype=np.float32)


def read_responses(path: Path) -> Responses:
    """Open `voxels.npy`.

    Raises
    ------
    MissingResource
        No such file.
    InvalidInput
        Not a float array (n_trials, n_voxels).
    """
    values = map_npy(path, "responses")
    if values.ndim != 2 or not values.size:
        raise InvalidInput(f"shape {values.shape} is not (n_trials, n_voxels)", where=str(path))
    if values.dtype.kind != "f":
        raise InvalidInput(f"responses are {values.dtype}, not float", where=str(path))
    return Responses(values)


def map_npy(path: Path, what: str) -> NDArray[Any]:
    """Memory-map an array without unpickling anything.

    Raises
    ------
    MissingResource
        No such file.
    InvalidInput
        Not a whole .npy file of plain numbers.
    """
    if not path.exists():
        raise MissingResource(f"the file of {what} is missing", where=str(path))
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, *FORMAT_ERRORS) as error:
        raise InvalidInput(f"cannot be read as .npy: {reason(error)}", where=str(path)) from error
    if not isinstance(values, np.ndarray):
        values.close()
        raise InvalidInput("an archive, not one array", where=str(path))
    return values
