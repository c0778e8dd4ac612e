"""Large blocks that a CPU training step frees are kept for the next step.

glibc gives every block above 32 MiB back to the system when it is freed, and the system clears its
pages when it is asked for again. A step's gradients are such blocks.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

# Names and numbers of malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
LARGEST = 2**31 - 1
# From this size on a freed block is given back, whatever was freed before.
GIVEN_BACK = 32 * 2**20


def gives_back(model: Any) -> bool:
    """Whether a training step of a torch module frees a gradient of such a size."""
    return any(p.numel() * p.element_size() >= GIVEN_BACK for p in model.parameters())


def keep_freed_blocks() -> bool:
    """Tell glibc to keep what is freed, for the rest of this process.

    Returns
    -------
    bool
        Whether it took effect: other C libraries have no such switch.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return bool(
        mallopt is not None
        and mallopt(M_MMAP_MAX, 0) == 1
        and mallopt(M_TRIM_THRESHOLD, LARGEST) == 1
    )
