"""All parts' inverted lists searched as one: a list is looked into once, whatever number of parts.

Looking into a list costs as much as about 25 codes, and parts of a small collection have about as
many codes a list.

Shapes: `q` queries, `D` width, `L` lists probed, `R` candidates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mindeye_cli.core.neighbours.coder import Lists
from mindeye_cli.core.neighbours.collection import Floats, Ints
from mindeye_cli.core.neighbours.needs import need_faiss

OFFSET_BITS = 32  # faiss names a code by its list in the upper half and its place in the lower


class Stack:
    """Parts' lists, one behind the other.

    Parameters
    ----------
    parts : sequence of Lists
    first : Lists
        The first part opened once more: it is made to look into the stack.
    starts : int64 array
        Position of each part's first row.
    """

    def __init__(self, parts: Sequence[Lists], first: Lists, starts: Ints) -> None:
        faiss = need_faiss()
        self._parts, self._first, self._starts = tuple(parts), first, starts
        pointers = faiss.InvertedListsPtrVector()
        for part in parts:
            pointers.push_back(part.inverted)
        self._stack = faiss.HStackInvertedLists(pointers.size(), pointers.data())
        first.look_into(self._stack)
        # Where each part's codes begin in a list: (parts, lists).
        sizes = np.array([part.sizes() for part in parts], np.int64)
        self._begins = np.cumsum(sizes, axis=0) - sizes

    def search(
        self, rotated: Floats, lists: Ints, distances: Floats, count: int
    ) -> tuple[Floats, Ints]:
        """Candidates by their codes, as `Lists.search`; positions in place of a part's ids."""
        found, named = self._first.search(rotated, lists, distances, count, None, places=True)
        there = named >= 0
        return found, np.where(there, self._positions(np.where(there, named, 0)), -1)

    def _positions(self, named: Ints) -> Ints:
        """Positions of codes that are named by list and place."""
        lists, places = named >> OFFSET_BITS, named & (2**OFFSET_BITS - 1)
        flat = np.stack([lists.ravel(), places.ravel()])
        # The last part that begins at or before the place; empty parts begin where the next does.
        part = (self._begins[:, flat[0]] <= flat[1]).sum(axis=0) - 1
        offsets = flat[1] - self._begins[part, flat[0]]
        rows = [
            self._parts[p].inverted.get_single_id(int(number), int(offset))
            for p, number, offset in zip(part.tolist(), flat[0], offsets, strict=True)
        ]
        return (np.array(rows, np.int64) + self._starts[part]).reshape(named.shape)
