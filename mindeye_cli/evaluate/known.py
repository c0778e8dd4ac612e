"""Kinds of stimuli: those of a store, a folder, or a tensor file, by id and in their own order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.core.trials import image_trials
from mindeye_cli.evaluate.pictures import Pictures, picture_files, read_pictures
from mindeye_cli.evaluate.tensors import read_tensors
from mindeye_store import open_store
from mindeye_store.errors import InvalidInput


class Source(ABC):
    """Stimuli by id, and in the order in which a file without ids means them."""

    def __init__(self, path: Path, known: dict[str, Any]) -> None:
        self.path, self.known = path, known

    def rows(self, ids: tuple[str, ...]) -> list[Any]:
        """What is known of each id.

        Raises
        ------
        InvalidInput
            An id is not among the stimuli.
        """
        unknown = [image_id for image_id in ids if image_id not in self.known]
        if unknown:
            raise InvalidInput(
                f"{len(unknown)} of {len(ids)} reconstructed images are not among the stimuli,"
                f" first {unknown[0]!r}",
                where=str(self.path),
                fix="give the stimuli that were reconstructed: --store STORE or --images DIR",
            )
        return [self.known[image_id] for image_id in ids]

    def order(self) -> list[str]:
        """Names that are numbers by their number, then the others by the alphabet."""
        numbers = [name for name in self.known if name.isdecimal()]
        return [*sorted(numbers, key=int), *sorted(self.known.keys() - set(numbers))]

    @abstractmethod
    def read(self, ids: tuple[str, ...]) -> Pictures:
        """The pictures of these ids."""


class StoreSource(Source):
    """A store; a file without ids means the images of its test split, in the store's order."""

    def __init__(self, path: Path) -> None:
        self.store = open_store(path)
        super().__init__(path, dict(self.store.images.rows))

    def order(self) -> list[str]:
        """Ids of images that some subject's test split holds."""
        subjects = [self.store.subject(name) for name in self.store.subjects]
        trials = [image_trials(subject, "test").image_rows for subject in subjects]
        rows = set(np.concatenate(trials).tolist()) if trials else set()
        return [name for name, row in self.known.items() if row in rows]

    def read(self, ids: tuple[str, ...]) -> Pictures:
        """The pictures of these ids, with their scene records if there are."""
        images, rows = self.store.images, self.rows(ids)
        known = images.records or [None] * images.n
        records = tuple(record for record in (known[row] for row in rows) if record is not None)
        return Pictures(
            ids=ids,
            pixels=images.read(np.asarray(rows, dtype=np.int64)),
            records=records if len(records) == len(rows) else None,
        )


class FolderSource(Source):
    """A folder of pictures named by id."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, dict(picture_files(path)))

    def read(self, ids: tuple[str, ...]) -> Pictures:
        """The pictures of these ids."""
        return Pictures(ids=ids, pixels=read_pictures(self.rows(ids)))


class TensorSource(Source):
    """A tensor file; without ids of its own its rows are called 0, 1, 2, ..."""

    def __init__(self, path: Path) -> None:
        self.pixels, ids = read_tensors(path)
        names = map(str, range(len(self.pixels))) if ids is None else ids
        super().__init__(path, {name: row for row, name in enumerate(names)})

    def order(self) -> list[str]:
        """As in the file."""
        return list(self.known)

    def read(self, ids: tuple[str, ...]) -> Pictures:
        """The pictures of these ids."""
        rows = self.rows(ids)
        whole = rows == list(range(len(self.pixels)))
        return Pictures(ids=ids, pixels=self.pixels if whole else self.pixels[rows])
