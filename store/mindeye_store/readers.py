"""Choose and open the back end that reads an array."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from mindeye_store.arrays import open_array, spec_of
from mindeye_store.backends.memory import MemoryReader, free_memory
from mindeye_store.errors import UsageProblem
from mindeye_store.published import array_spec, user_attributes
from mindeye_store.read import ArrayReader, Reader

ReaderKind = Literal["auto", "preload", "map", "direct", "zarr", "tensorstore"]
# An array is kept in RAM when it takes no more than this share of what is free.
_MEMORY_SHARE = 0.25
TOLD_BYTES = 2**28
_LOG = logging.getLogger("mindeye")


def check_kind(kind: str) -> ReaderKind:
    """Return a known reader's name."""
    for known in get_args(ReaderKind):
        if kind == known:
            return known
    raise UsageProblem(f"no reader {kind!r}", fix=f"use one of {', '.join(get_args(ReaderKind))}")


def open_array_reader(bundle: Path, name: str, kind: ReaderKind) -> ArrayReader:
    """Open one published array from its files; in place where rows lie as they are."""
    spec, attrs = array_spec(bundle, name), user_attributes(bundle)
    if kind == "tensorstore":
        from mindeye_store.backends.tensor import TensorReader

        return TensorReader(bundle, spec, attrs)
    from mindeye_store.backends.direct import DirectReader, can_read

    if kind == "map" and can_read(spec):
        from mindeye_store.backends.mapped import MapReader

        return MapReader(bundle, spec, attrs)
    if kind != "zarr" and can_read(spec):
        return DirectReader(bundle, spec, attrs)
    from mindeye_store.backends.zarr_reader import ZarrReader

    return ZarrReader(bundle, spec, attrs)


def in_memory(base: Reader, kind: ReaderKind) -> Reader:
    """Put RAM in front of a reader when that was asked for, or when `auto` finds room."""
    if kind == "preload":
        return MemoryReader(base, preload=True)
    if kind != "auto":
        return base
    size = math.prod(base.shape) * base.dtype.itemsize
    free = free_memory()
    fits = size <= free * _MEMORY_SHARE
    # Small columns are opened by the dozen; what matters is said once, of the large ones.
    _LOG.log(
        logging.INFO if size >= TOLD_BYTES else logging.DEBUG,
        "reader auto: %s in RAM, %.2f GB where %.2f GB are free (a quarter may be taken)",
        "kept" if fits else "not kept",
        size / 1e9,
        free / 1e9,
    )
    return MemoryReader(base, preload=False) if fits else base


def read_column(bundle: Path, name: str) -> np.ndarray:
    """Read the whole of a small array; opened once, for a list of images has one in every part."""
    from mindeye_store.backends.zarr_reader import ZarrReader

    array = open_array(bundle, name)
    reader = ZarrReader(bundle, spec_of(array, bundle, name), {}, opened=array)
    return reader.read(np.arange(len(reader)))
