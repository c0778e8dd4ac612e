"""Reading rows: the `Reader` protocol and what every back end shares.

Rows are asked for in one request per batch, which is about twice as fast as row by row, sorted
and without repeats; each is put where the caller wants it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mindeye_store.errors import InvalidInput
from mindeye_store.schema import MEND, ArraySpec
from mindeye_store.shards import ShardGuard

# What zarr, its codecs and TensorStore raise for data that does not decode.
_DECODE_ERRORS = (ValueError, RuntimeError, LookupError, OSError)


@runtime_checkable
class Reader(Protocol):
    """Rows of a stored array, whatever reads them.

    Readers can be pickled, and reopen their files in a spawned or forkserved worker; a worker
    must never be forked after one has been used.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows first."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Stored type."""
        ...

    @property
    def attrs(self) -> Mapping[str, Any]:
        """Attributes of the bundle."""
        ...

    def __len__(self) -> int: ...

    def read(self, rows: Any) -> np.ndarray:
        """Read rows, in any order and with repeats.

        Parameters
        ----------
        rows : array_like of int, shape (k,)

        Returns
        -------
        ndarray, shape (k, *shape[1:])

        Raises
        ------
        InvalidInput
            A row is out of range, or its shard is missing or damaged.
        """
        ...


class ArrayReader(ABC):
    """One published array; a back end says how sorted rows are fetched.

    Parameters
    ----------
    bundle : Path
    spec : ArraySpec
    attrs : mapping
        The bundle's attributes.
    opened : optional
        What the back end would open, for a reader that is used at once.
    """

    def __init__(
        self, bundle: Path, spec: ArraySpec, attrs: Mapping[str, Any], opened: Any = None
    ) -> None:
        self.bundle, self.spec = bundle, spec
        self.attrs: Mapping[str, Any] = attrs
        self._guard = ShardGuard(bundle, spec)
        self._handle = opened

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows first."""
        return self.spec.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Stored type."""
        return np.dtype(self.spec.dtype)

    def __len__(self) -> int:
        return self.spec.shape[0]

    def read(self, rows: Any) -> np.ndarray:
        """See `Reader.read`."""
        wanted = check_rows(rows, len(self), self.spec.name)
        if not wanted.size:
            return np.empty((0, *self.shape[1:]), self.dtype)
        unique, first, inverse = np.unique(wanted, return_index=True, return_inverse=True)
        distinct = unique.size == wanted.size
        shards = np.unique(unique // self.spec.shard_rows).tolist()
        self._guard.check(shards)
        try:
            values = self._fetch(unique, first if distinct else np.arange(unique.size))
        except _DECODE_ERRORS as error:
            raise self._damage(unique, shards, error) from error
        self._guard.recheck(shards)
        return values if distinct else values[inverse]

    @abstractmethod
    def _open(self) -> Any:
        """Open the array; called once, at the first read of a process."""

    @abstractmethod
    def _read_sorted(self, handle: Any, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Read strictly increasing rows; `places`, an order of them, says where each is put."""

    def _fetch(self, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        if self._handle is None:
            self._handle = self._open()
        return self._read_sorted(self._handle, rows, places)

    def _damage(self, rows: np.ndarray, shards: list[int], error: Exception) -> InvalidInput:
        """Find the shard that does not decode."""
        for shard in shards:
            try:
                mine = rows[rows // self.spec.shard_rows == shard]
                self._fetch(mine, np.arange(mine.size))
            except _DECODE_ERRORS:
                return InvalidInput(
                    "a checksum does not match: the shard is damaged",
                    where=str(self._guard.path(shard)),
                    fix=MEND,
                )
        return InvalidInput(f"the array cannot be read: {error}", where=str(self.bundle))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handle": None}


def check_rows(rows: Any, n: int, what: str) -> np.ndarray:
    """Return row numbers as int64 (k,).

    Raises
    ------
    InvalidInput
        They are not integers, or one is negative or beyond the last row.
    """
    wanted = np.asarray(rows)
    if wanted.size == 0:
        return np.empty(0, np.int64)
    if wanted.ndim != 1 or wanted.dtype.kind not in "iu":
        raise InvalidInput(
            f"rows must be integers in one dimension, not {wanted.dtype} {wanted.shape}", where=what
        )
    low, high = int(wanted.min()), int(wanted.max())
    if low < 0 or high >= n:
        raise InvalidInput(f"there is no row {low if low < 0 else high} of {n}", where=what)
    return wanted.astype(np.int64, copy=False)


def put(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Rows in another order: row k becomes row `places[k]`."""
    if (places[1:] > places[:-1]).all():
        return values
    out = np.empty_like(values)
    out[places] = values
    return out
