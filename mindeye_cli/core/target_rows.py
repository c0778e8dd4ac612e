"""Rows of a SPACE as flat vectors.

Shapes: `n` images, `D` flattened width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

CHUNK = 512


def image_vectors(reader: Any, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Flattened targets of some images, read in parts; float32 (n, D)."""
    parts = [
        np.asarray(reader.read(rows[i : i + CHUNK]), dtype=np.float32).reshape(
            len(rows[i : i + CHUNK]), -1
        )
        for i in range(0, len(rows), CHUNK)
    ]
    return np.concatenate(parts)
