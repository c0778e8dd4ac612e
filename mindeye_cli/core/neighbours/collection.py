"""All shards as one matrix that is never read whole: rows by position, names, checks.

Shapes: `N` rows in all, `D` width, `m` rows asked for. A position counts rows over the shards in
the manifest's order; it stays inside the process, and people see SHARD:ROW.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindeye_cli.core.fingerprint import of_file
from mindeye_cli.core.neighbours.shards import Shard, open_rows, stamp_of
from mindeye_store.errors import InvalidInput, MissingResource

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
logger = logging.getLogger("mindeye")

BLOCK = 16384  # rows read at once


class Collection:
    """Opened shards.

    Parameters
    ----------
    root : Path
        The folder of shards.
    shards : sequence of Shard
    normalised : bool
        Whether every row has length 1; otherwise rows are divided by their length when read.
    """

    def __init__(self, root: Path, shards: Sequence[Shard], normalised: bool) -> None:
        self.root, self.shards, self.normalised = root, tuple(shards), normalised
        self.starts: Ints = np.concatenate([[0], np.cumsum([s.rows for s in shards])]).astype(
            np.int64
        )
        self.dim = shards[0].dim
        self._open: dict[int, tuple[NDArray[Any], Tensor]] = {}

    def __len__(self) -> int:
        return int(self.starts[-1])

    @cached_property
    def places(self) -> dict[str, int]:
        """Place of every shard by its name."""
        return {shard.name: place for place, shard in enumerate(self.shards)}

    def rows(self, place: int) -> NDArray[Any]:
        """The mapped rows of one shard, as they are."""
        return self._mapped(place)[0]

    def block(self, place: int, low: int, high: int) -> Tensor:
        """Rows of one shard at length 1, float32 (high - low, D)."""
        return self._unit(self._mapped(place)[1][low:high].float())

    def picked(self, place: int, rows: Ints) -> Tensor:
        """Some rows of one shard at length 1, float32 (m, D)."""
        return self._unit(self._mapped(place)[1].index_select(0, torch.from_numpy(rows)).float())

    def gather(self, positions: Ints) -> Tensor:
        """Rows at any positions, float32 (m, D); read in their order, fastest where it is given."""
        order = np.argsort(positions, kind="stable")
        ascending = positions[order]
        cuts = np.searchsorted(ascending, self.starts)
        chosen = np.flatnonzero(np.diff(cuts))
        kept = torch.float16 if self._half(chosen) else torch.float32
        out = torch.empty(len(positions), self.dim, dtype=kept)
        for place in chosen.tolist():
            part = slice(int(cuts[place]), int(cuts[place + 1]))
            rows = torch.from_numpy(ascending[part] - self.starts[place])
            held = self._mapped(place)[1]
            if held.dtype == kept:
                torch.index_select(held, 0, rows, out=out[part])
            else:
                out[part] = held.index_select(0, rows)
        if (np.diff(order) != 1).any():
            out = out.index_select(0, torch.from_numpy(np.argsort(order)))
        return self._unit(out.float())

    def _half(self, places: Ints) -> bool:
        return all(self.shards[place].dtype == "float16" for place in places)

    def locate(self, positions: Ints) -> tuple[Ints, Ints]:
        """Shard and row of every position."""
        places = np.searchsorted(self.starts, positions, side="right") - 1
        return places.astype(np.int64), positions - self.starts[places]

    def names(self, positions: Ints) -> list[str]:
        """SHARD:ROW of every position."""
        places, rows = self.locate(positions)
        return [f"{self.shards[p].name}:{row}" for p, row in zip(places, rows, strict=True)]

    def refuse_changed(self, places: Sequence[int] | None = None) -> None:
        """Refuse shards whose bytes are not those that were indexed.

        Shards of the same size and time are believed; others are read to compare their checksums.

        Raises
        ------
        MissingResource
            A shard is absent.
        InvalidInput
            A shard has changed.
        """
        for place in range(len(self.shards)) if places is None else places:
            shard = self.shards[place]
            paths = [self.root / shard.vectors]
            paths += [] if shard.metadata is None else [self.root / shard.metadata]
            for path in paths:
                if not path.is_file():
                    raise MissingResource(
                        "a shard of the index is absent",
                        where=str(path),
                        fix="put it back, or give its folder with --shards",
                    )
            if stamp_of(*paths) == shard.stamp:
                continue
            logger.info("%s was touched since it was indexed: reading it again", paths[0])
            if not shard.sha256 or of_file(paths[0]) != shard.sha256:
                raise InvalidInput(
                    "the shard has changed since it was indexed (checksum)",
                    where=str(paths[0]),
                    fix="put the old file back, or index again with --overwrite",
                )

    def _mapped(self, place: int) -> tuple[NDArray[Any], Tensor]:
        if place not in self._open:
            shard = self.shards[place]
            rows = open_rows(self.root / shard.vectors)
            if rows.shape != (shard.rows, shard.dim) or rows.dtype.name != shard.dtype:
                raise InvalidInput(
                    f"holds {rows.dtype} of shape {rows.shape},"
                    f" the index has {shard.dtype} of {(shard.rows, shard.dim)}",
                    where=str(self.root / shard.vectors),
                    fix="put the old file back, or index again with --overwrite",
                )
            with warnings.catch_warnings():
                # The tensor is never written to; torch only knows writable ones.
                warnings.filterwarnings("ignore", "The given NumPy array is not writable")
                self._open[place] = (rows, torch.from_numpy(np.asarray(rows)))
        return self._open[place]

    def _unit(self, rows: Tensor) -> Tensor:
        return rows if self.normalised else torch.nn.functional.normalize(rows, dim=1)
