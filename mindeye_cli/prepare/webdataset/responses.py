"""Responses in MindEye's tar files, read by trial.

Each sample holds three rows, whatever its number of presentations. The published code reads no
`num_uniques` and averages all three, so an image seen once or twice has a presentation counted
twice or thrice; here a row past `num_uniques` is a trial only when that is asked for.

Shapes: `N` trials, `M` samples, `V` voxels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.progress import track
from mindeye_cli.prepare.tar import Member
from mindeye_cli.prepare.voxels import Floats, Rows
from mindeye_cli.prepare.webdataset.samples import ROWS, Samples, read_rows
from mindeye_store.errors import InvalidInput

RowChoice = Literal["unique", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTrials:
    """Trials as rows of samples.

    Attributes
    ----------
    members : list of Member
        The voxels of the samples.
    sample, row : int64 arrays (N,)
        Of every trial; samples ascend.
    n_voxels : int
    """

    members: list[Member]
    sample: NDArray[np.int64]
    row: NDArray[np.int64]
    n_voxels: int

    @property
    def shape(self) -> tuple[int, int]:
        """`N` and `V`."""
        return len(self.sample), self.n_voxels

    def read(self, rows: Rows) -> Floats:
        """Responses of trials, float32 (len(rows), V)."""
        wanted, place = np.unique(self.sample[rows], return_inverse=True)
        values = np.empty((len(rows), self.n_voxels), dtype=np.float32)
        stored = read_rows([self.members[i] for i in wanted])
        order = np.argsort(place, kind="stable")
        edges = np.searchsorted(place[order], np.arange(len(wanted) + 1))
        for number, array in enumerate(stored):
            mine = order[edges[number] : edges[number + 1]]
            values[mine] = array[self.row[rows[mine]]]
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What one pass over all responses found.

    Attributes
    ----------
    n_voxels : int
    dtype : str
    copies : bool or None
        Whether every row past `num_uniques` equals a row before it; None when there is no such row.
    """

    n_voxels: int
    dtype: str
    copies: bool | None


def survey(samples: Samples) -> Survey:
    """Read every response once.

    Raises
    ------
    InvalidInput
        A sample has other voxels or another type than the first one, or is not finite.
    """
    shape, dtype = None, ""
    padded = copied = 0
    with track("check responses", len(samples), unit="samples") as bar:
        for number, values in enumerate(read_rows(samples.voxels)):
            if shape is None:
                shape, dtype = values.shape, values.dtype.name
            if (values.shape, values.dtype.name) != (shape, dtype):
                raise InvalidInput(
                    f"{values.dtype} {values.shape} where the first sample has {dtype} {shape}",
                    where=samples.voxels[number].where,
                )
            known = values[: samples.uniques[number]]
            for extra in values[len(known) :]:
                padded += 1
                copied += bool((known == extra).all(axis=1).any())
            bar.advance(1)
    copies = copied == padded if padded else None
    return Survey(n_voxels=0 if shape is None else int(shape[1]), dtype=dtype, copies=copies)


def trials_of(samples: Samples, choice: RowChoice, n_voxels: int) -> SampleTrials:
    """The rows that count as trials: every presentation once, or all three rows."""
    counts = samples.uniques if choice == "unique" else np.full(len(samples), ROWS)
    sample = np.repeat(np.arange(len(samples)), counts)
    row = np.arange(len(sample)) - np.repeat(np.cumsum(counts) - counts, counts)
    return SampleTrials(
        members=samples.voxels,
        sample=sample.astype(np.int64),
        row=row.astype(np.int64),
        n_voxels=n_voxels,
    )
