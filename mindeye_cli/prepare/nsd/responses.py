"""`responses.tsv`: one row per trial with its session, run and picture (73KID counts from 1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.prepare.tables import read_table

COLUMNS = ("SESSION", "RUN", "73KID")


@dataclass(frozen=True, slots=True, kw_only=True)
class Responses:
    """Behaviour rows in order; `image` counts from 0, sessions and runs from 1."""

    session: NDArray[np.int64]
    run: NDArray[np.int64]
    image: NDArray[np.int64]

    def runs(self) -> tuple[tuple[int, ...], ...]:
        """Trials in every run of every session from the first to the last."""
        return tuple(
            tuple(int(n) for n in np.bincount(self.run[self.session == session])[1:])
            for session in range(1, int(self.session.max(initial=0)) + 1)
        )


def read_responses(path: Path) -> Responses:
    """Read the behaviour table.

    Raises
    ------
    InvalidInput
        A column is missing or a value is no number above 0.
    """
    table = read_table(path, required=COLUMNS, delimiter="\t", others=True)
    session, run, image = (table.integers(column, least=1) for column in COLUMNS)
    return Responses(session=session, run=run, image=image - 1)
