"""What may be stored: values are checked against an array's type before they are cast."""

from __future__ import annotations

from typing import Any

import numpy as np

from mindeye_store.errors import InvalidInput
from mindeye_store.schema import FLOAT16_LIMIT, ArraySpec


def checked(values: Any, spec: ArraySpec, shard: int) -> tuple[np.ndarray, float]:
    """Return a shard's values in the stored type, and their largest magnitude.

    Parameters
    ----------
    values : array_like
        Shape (rows of the shard, *shape[1:]).
    spec : ArraySpec
    shard : int

    Raises
    ------
    InvalidInput
        Wrong shape, a lossy kind of cast, NaN or infinity, or a value outside the type's range;
        float16 is refused from |x| >= 65504, its largest finite value.
    """
    start, stop = spec.span(shard)
    array = np.asarray(values)
    wanted = (stop - start, *spec.shape[1:])
    if array.shape != wanted:
        raise InvalidInput(
            f"values of shape {array.shape} do not fit shape {wanted}",
            where=f"{spec.name}, rows {start}-{stop - 1}",
        )
    target = np.dtype(spec.dtype)
    if not np.can_cast(array.dtype, target, "same_kind") and not _is_integer(array, target):
        raise InvalidInput(f"{array.dtype} values in an array of {target}", where=spec.name)
    low, high = float(array.min()), float(array.max())
    largest = max(abs(low), abs(high))
    if not np.isfinite(largest) or not _fits(low, high, target):
        raise _refusal(array, spec, start)
    return np.ascontiguousarray(array, dtype=target), largest


def _is_integer(array: np.ndarray, target: np.dtype[Any]) -> bool:
    """Allow any integer type for another: the range check decides."""
    return array.dtype.kind in "biu" and target.kind in "iu"


def _fits(low: float, high: float, target: np.dtype[Any]) -> bool:
    if target.kind == "f":
        limit = FLOAT16_LIMIT if target == np.float16 else float(np.finfo(target).max)
        return max(abs(low), abs(high)) < limit
    bounds = np.iinfo(target)
    return bounds.min <= low and high <= bounds.max


def _refusal(array: np.ndarray, spec: ArraySpec, start: int) -> InvalidInput:
    """Name the first row that cannot be stored."""
    target = np.dtype(spec.dtype)
    for offset, row in enumerate(array):
        finite = bool(np.isfinite(row).all())
        if finite and _fits(float(row.min()), float(row.max()), target):
            continue
        what = "is outside the range of" if finite else "is NaN or infinite in"
        return InvalidInput(
            f"a value {what} an array of {target}", where=f"{spec.name}, row {start + offset}"
        )
    raise AssertionError("a refused block has a refused row")
