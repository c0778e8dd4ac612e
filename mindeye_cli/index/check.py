"""Reading a shard whole, once: every row is checked and the file's checksum is taken on the way.

Shapes: `N` rows, `D` width, `b` rows of a block.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mindeye_cli.core.neighbours.collection import BLOCK, Collection
from mindeye_store.errors import InvalidInput

# Rows of a unit vector in float16 are within 0.001 of length 1 at any usual width.
NORM_TOLERANCE = 0.01


class WholeRead:
    """One pass over a shard.

    Parameters
    ----------
    collection : Collection
    place : int
        Of the shard.

    Attributes
    ----------
    sha256 : str
        Of the file, when the blocks are used up.
    """

    def __init__(self, collection: Collection, place: int) -> None:
        self.collection, self.place, self.sha256 = collection, place, ""

    def blocks(self) -> Iterator[tuple[int, Tensor]]:
        """Yield the first row's number and the rows at length 1, float32 (b, D).

        Raises
        ------
        InvalidInput
            A row is not finite, has no length, or is not normalised where it should be.
        """
        rows: Any = self.collection.rows(self.place)
        path = self.collection.root / self.collection.shards[self.place].vectors
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            digest.update(stream.read(rows.offset))
        for low in range(0, len(rows), BLOCK):
            raw = np.array(rows[low : low + BLOCK])  # a copy: hashed and checked are the same bytes
            digest.update(raw.data)
            block = torch.from_numpy(raw).float()
            lengths = torch.linalg.vector_norm(block, dim=1)
            self._refuse(lengths, low, str(path))
            if not self.collection.normalised:
                block /= lengths[:, None]
            yield low, block
        self.sha256 = digest.hexdigest()

    def _refuse(self, lengths: Tensor, low: int, path: str) -> None:
        broken = torch.nonzero(~torch.isfinite(lengths) | (lengths == 0))
        if len(broken):
            row = int(broken[0])
            raise InvalidInput(
                "the row has no length" if lengths[row] == 0 else "the row is not finite",
                where=f"{path} row {low + row}",
                fix="make the shard's embeddings again",
            )
        off = torch.nonzero((lengths - 1).abs() > NORM_TOLERANCE)
        if self.collection.normalised and len(off):
            row = int(off[0])
            raise InvalidInput(
                f"the row has length {float(lengths[row]):.3f}, not 1",
                where=f"{path} row {low + row}",
                fix="normalise the embeddings, or index them by cosine with --unnormalised",
            )
