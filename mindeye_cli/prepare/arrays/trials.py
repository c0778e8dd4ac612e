"""`trials.csv`: which picture each row of `voxels.npy` shows, and its split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.prepare.table import SPLITS, TrialTable, occurrences
from mindeye_cli.prepare.tables import Table, read_table
from mindeye_store.errors import InvalidInput

REQUIRED, OPTIONAL = ("image", "split"), ("session", "run", "repeat")
_LIMIT = np.iinfo(np.int16).max


@dataclass(frozen=True, slots=True)
class Trials:
    """The table as read: picture names or rows as text, and the rest as numbers."""

    source: Table
    image: list[str]
    split: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.image)

    @property
    def absent(self) -> tuple[str, ...]:
        """Optional columns that the table lacks."""
        return tuple(name for name in OPTIONAL if name not in self.source.columns)

    def table(self, positions: NDArray[np.int64]) -> TrialTable:
        """The trial table, given the position of every trial's picture.

        Raises
        ------
        InvalidInput
            A session, run or repeat is no number of that range.
        """
        ones = np.ones(len(self.image), dtype=np.int16)
        repeat = self._column("repeat", 0)
        session, run = self._column("session", 0), self._column("run", 0)
        return TrialTable(
            image=positions,
            session=ones if session is None else session,
            run=ones if run is None else run,
            repeat=occurrences(positions) if repeat is None else repeat,
            split=self.split,
        )

    def _column(self, name: str, least: int) -> NDArray[np.int16] | None:
        if name not in self.source.columns:
            return None
        values = self.source.integers(name, least=least)
        if values.max(initial=0) > _LIMIT:
            row = int(np.argmax(values))
            raise InvalidInput(
                f"{values[row]} is above {_LIMIT}", where=self.source.where(row, name)
            )
        return values.astype(np.int16)

    def rows_of(self, n_pictures: int) -> NDArray[np.int64]:
        """Positions when pictures are rows of an array, int64 (n_trials,).

        Raises
        ------
        InvalidInput
            An image is no row of it.
        """
        rows = self.source.integers("image", least=0)
        if rows.max(initial=0) >= n_pictures:
            trial = int(np.argmax(rows))
            raise InvalidInput(
                f"image {rows[trial]} is out of range: images.npy has {n_pictures} rows",
                where=self.source.where(trial, "image"),
            )
        return rows

    def files_of(self, folder: Path) -> tuple[list[str], NDArray[np.int64]]:
        """Names of the picture files, training ones first, and every trial's position in them.

        Raises
        ------
        InvalidInput
            An image is no file of the folder.
        """
        there = {path.name for path in folder.iterdir() if path.is_file()}
        for trial, name in enumerate(self.image):
            if name not in there:
                raise InvalidInput(
                    f"image {name!r} is not in {folder.name}/",
                    where=self.source.where(trial, "image"),
                    fix="name the file with its ending, without a folder",
                )
        train = {name for name, split in zip(self.image, self.split, strict=True) if not split}
        names = [*sorted(train), *sorted(set(self.image) - train)]
        place = {name: position for position, name in enumerate(names)}
        return names, np.array([place[name] for name in self.image], dtype=np.int64)


def read_trials(path: Path) -> Trials:
    """Read the table.

    Raises
    ------
    MissingResource
        No such file.
    InvalidInput
        Unknown columns or splits, or no trial.
    """
    source = read_table(path, required=REQUIRED, optional=OPTIONAL)
    if not len(source):
        raise InvalidInput("the table lists no trial", where=str(path))
    words = source.words("split", SPLITS)
    split = np.array([SPLITS.index(word) for word in words], dtype=np.uint8)
    return Trials(source, source.columns["image"], split)
