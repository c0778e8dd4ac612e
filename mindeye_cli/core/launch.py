"""Which process of a launched job this is, read from what torchrun and accelerate export."""

from __future__ import annotations

import os


def rank() -> int:
    """Index of this process among those of one launch; 0 outside a launcher."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """Number of processes of one launch; 1 outside a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def processes_here() -> int:
    """Number of processes of one launch on this machine; all of them where it is not told."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", world_size()))


def is_main_rank() -> bool:
    """Whether this process prints, writes manifests and applies retention."""
    return rank() == 0
