"""Vectors to search with: a file of them, checked and brought to length 1.

Shapes: `q` queries, `D` width.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.core.neighbours.collection import Floats
from mindeye_store.errors import InvalidInput, MissingResource


def read_queries(file: Path, dim: int) -> Floats:
    """Read vectors from an .npy file.

    Parameters
    ----------
    file : Path
        (q, D), or (q, 1, D) as pooled runs predict.
    dim : int
        The index' D.

    Returns
    -------
    float32 array (q, D), at length 1.

    Raises
    ------
    MissingResource
        There is no file.
    InvalidInput
        Another width, or rows without a direction.
    """
    try:
        values: Any = np.load(file, allow_pickle=False)
    except FileNotFoundError as problem:
        raise MissingResource("no such file", where=str(file), fix="check the path") from problem
    except (ValueError, EOFError) as problem:
        raise InvalidInput(
            f"not a whole .npy file: {problem}", where=str(file), fix="save it with numpy.save"
        ) from problem
    return unit_queries(values, dim, str(file))


def unit_queries(values: Any, dim: int, where: str) -> Floats:
    """Bring vectors to float32 at length 1; errors as for `read_queries`."""
    if values.ndim == 3 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 2 or values.shape[1] != dim or values.dtype.kind != "f":
        raise InvalidInput(
            f"{values.dtype} of shape {values.shape}, the index has rows of {dim} numbers",
            where=where,
            fix="give embeddings of the model that the index was made with",
        )
    if not len(values):
        raise InvalidInput("there are no queries", where=where, fix="give at least one row")
    rows = values.astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1)
    bad = np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))
    if len(bad):
        raise InvalidInput(
            "the row is not finite, or has no length",
            where=f"{where} row {bad[0]}",
            fix="predict it again",
        )
    return np.asarray(rows / lengths[:, None], dtype=np.float32)
