"""p values of many voxels at once.

Shapes: `V` voxels, last.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ndtr

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


def two_sided(z: NDArray[np.floating]) -> Doubles:
    """Two-sided normal p values."""
    return np.asarray(2 * ndtr(-np.abs(z.astype(np.float64))))


def fdr(p: Doubles) -> Floats:
    """Benjamini-Hochberg q values over the last axis."""
    return np.asarray(stats.false_discovery_control(p, axis=-1), dtype=np.float32)
