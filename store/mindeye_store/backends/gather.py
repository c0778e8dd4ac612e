"""Copy rows of an array in RAM, large batches in several threads: one does not fill the bus."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

_MOST_THREADS = 4
# Waking a thread takes as long as copying about a megabyte.
_SPLIT_BYTES = 2**22
# The helpers, and the process that they belong to: a forked child has none of its parent's threads.
_helpers: tuple[int, ThreadPoolExecutor] | None = None


def gather(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return `values[rows]`.

    Parameters
    ----------
    values : array (N, ...)
    rows : int array (n,)
        Checked: all within [0, N).

    Returns
    -------
    array (n, ...)
        A copy, of the same type.
    """
    found = np.empty((len(rows), *values.shape[1:]), values.dtype)
    threads = min(_MOST_THREADS, _processors(), len(rows), found.nbytes // _SPLIT_BYTES)
    if threads < 2:
        return values.take(rows, axis=0, out=found, mode="clip")
    ends = [len(rows) * k // threads for k in range(threads + 1)]
    own, *others = map(slice, ends[:-1], ends[1:])
    given = []
    for part in others:
        # `clip` writes into `out` itself; the other modes fill a buffer first.
        work = partial(values.take, rows[part], axis=0, out=found[part], mode="clip")
        try:
            given.append(_pool().submit(work))
        except RuntimeError:  # the interpreter is ending, and takes no work for other threads
            work()
    values.take(rows[own], axis=0, out=found[own], mode="clip")
    for done in given:
        done.result()
    return found


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def _pool() -> ThreadPoolExecutor:
    global _helpers
    if _helpers is None or _helpers[0] != os.getpid():
        pool = ThreadPoolExecutor(_MOST_THREADS - 1, thread_name_prefix="gather")
        _helpers = (os.getpid(), pool)
    return _helpers[1]
