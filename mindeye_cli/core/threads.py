"""Torch's thread count, set for one stage at a time.

Two threads are slower than one for small models on busy cores, and faster for large ones, so each
stage asks for the number that was measured for it; `MINDEYE_THREADS` overrides all of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from mindeye_store.errors import UsageProblem

VARIABLE = "MINDEYE_THREADS"


def thread_count(wanted: int | None = None) -> int | None:
    """The number of threads to use: the user's, else the stage's; None leaves torch's own.

    Raises
    ------
    UsageProblem
        When the variable is not a whole number above 0.
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        return wanted
    if not text.isdigit() or int(text) < 1:
        raise UsageProblem(f"must be a whole number above 0, not {text!r}", where=VARIABLE)
    return int(text)


def apply_threads(wanted: int | None = None) -> int:
    """Set torch's thread count from here on and return the one in force."""
    import torch

    count = thread_count(wanted)
    if count is not None:
        torch.set_num_threads(count)
    return torch.get_num_threads()


@contextmanager
def threads(wanted: int | None = None) -> Iterator[int]:
    """Run one stage with `wanted` torch threads, then restore the count."""
    import torch

    before = torch.get_num_threads()
    try:
        yield apply_threads(wanted)
    finally:
        torch.set_num_threads(before)
