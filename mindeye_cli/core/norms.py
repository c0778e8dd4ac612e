"""The norm that a SPACE declares for its vectors, imposed on predictions of it.

Shapes: `B` batch, `T` tokens, `D` width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

NORMS = ("cls", "unit", "raw")
# The published sampler adds the same amount to the norm of token 0 before dividing by it.
EPSILON = 1e-6


def impose_norm(values: NDArray[Any], norm: str) -> NDArray[np.float32]:
    """Bring predictions to their SPACE's norm.

    Parameters
    ----------
    values : float array (B, T, D) or (B, ...)
    norm : {"cls", "unit", "raw"}
        `cls` divides a sample by the norm of its token 0 (MindEye's 257x768 targets), `unit` by
        the norm of the whole sample, `raw` changes nothing.

    Returns
    -------
    float32 array of the same shape.

    Raises
    ------
    ValueError
        No SPACE has such a norm.
    """
    if norm == "raw":
        return np.asarray(values, dtype=np.float32)
    if norm == "cls":
        length = np.linalg.norm(values[:, :1], axis=-1, keepdims=True)
    elif norm == "unit":
        flat = np.linalg.norm(values.reshape(len(values), -1), axis=1)
        length = flat.reshape(-1, *([1] * (values.ndim - 1)))
    else:
        raise ValueError(f"unknown norm {norm!r}, one of {NORMS}")
    return np.asarray(values / (length + EPSILON), dtype=np.float32)
