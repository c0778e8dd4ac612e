"""Which process of a launched job this is, read from what torchrun and accelerate export."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

# Parts of one job may differ by hours; a process that dies breaks the wait at once.
PATIENCE = timedelta(days=7)


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


def any_process(flag: bool) -> bool:
    """Whether any process of the launch says so; each has to ask, inside `together`."""
    if world_size() == 1:
        return flag
    import torch
    from torch import distributed

    said = torch.tensor(int(flag))
    distributed.all_reduce(said, op=distributed.ReduceOp.MAX)
    return bool(said)


@contextmanager
def together() -> Iterator[Callable[[], object]]:
    """Join the processes of one launch for work that needs no exchange of data.

    Yields
    ------
    callable
        Waits until every process has called it; does nothing outside a launcher.
    """
    if world_size() == 1:
        yield lambda: None
        return
    from torch import distributed

    distributed.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield distributed.barrier
    finally:
        distributed.destroy_process_group()
