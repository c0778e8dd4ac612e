"""Several segments read as one array over global image rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mindeye_store.errors import InvalidInput, MissingResource
from mindeye_store.read import Reader, check_rows


class SegmentReader:
    """Rows of segments laid end to end.

    Parameters
    ----------
    parts : sequence of Reader or None
        None for a segment that does not exist (yet); reading one of its rows raises.
    counts : sequence of int
        Rows of each segment.
    absent : MissingResource
        What to raise then.
    """

    def __init__(
        self,
        parts: Sequence[Reader | None],
        counts: Sequence[int],
        absent: MissingResource,
    ) -> None:
        self.parts = list(parts)
        self.starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self._absent = absent
        present = [part for part in self.parts if part is not None]
        if not present:
            raise absent
        for part in present[1:]:
            if part.shape[1:] != present[0].shape[1:] or part.dtype != present[0].dtype:
                raise InvalidInput(
                    f"segments differ: {part.dtype} {part.shape[1:]} against "
                    f"{present[0].dtype} {present[0].shape[1:]}",
                    where=absent.where,
                )
        self._first = present[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows first."""
        return (len(self), *self._first.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Stored type."""
        return self._first.dtype

    @property
    def attrs(self) -> Mapping[str, Any]:
        """Attributes of the first segment that is there."""
        return self._first.attrs

    def __len__(self) -> int:
        return int(self.starts[-1])

    def read(self, rows: Any) -> np.ndarray:
        """See `Reader.read`.

        Raises
        ------
        MissingResource
            A row belongs to a segment that is not there.
        """
        wanted = check_rows(rows, len(self), self._absent.where or "rows")
        home = np.searchsorted(self.starts, wanted, side="right") - 1
        used = np.unique(home).tolist()
        values = np.empty((wanted.size, *self.shape[1:]), self.dtype)
        for segment in used:
            part = self.parts[segment]
            if part is None:
                raise self._absent
            mine = home == segment
            block = part.read(wanted[mine] - self.starts[segment])
            if len(used) == 1:
                return block
            values[mine] = block
        return values
