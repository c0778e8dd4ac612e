"""The nearest rows whose pictures can be had: what a search shows, ranks again or hands on.

Shapes: `q` queries, `D` width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mindeye_cli.core.neighbours import metadata
from mindeye_cli.core.neighbours.collection import Floats
from mindeye_cli.core.neighbours.decode import NoPicture, Pixels
from mindeye_cli.core.neighbours.manifest import EMBEDDINGS, ENCODER
from mindeye_cli.core.neighbours.pictures import Pictures
from mindeye_cli.core.neighbours.queries import unit_queries
from mindeye_cli.core.neighbours.search import Opened, nearest, open_index, refuse_other_space
from mindeye_store.files import read_json

CANDIDATES = 300  # as published: of 300 addresses some pictures still exist
AT_ONCE = 16  # pictures fetched side by side


@dataclass(slots=True)
class Tally:
    """Pictures that were not at hand, by reason."""

    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The nearest picture at hand: SHARD:ROW, cosine, rank among all rows (from 1), its pixels."""

    id: str
    score: float
    coarse_rank: int
    pixels: Pixels


class NearestPictures:
    """An index opened for its pictures.

    Parameters
    ----------
    index : Path
        A finished index.
    space : str
        What the queries are; an index that tells another SPACE is refused.
    folder : Path, optional
        Picture files or tar shards; by default the folder that was embedded, where one was.
    download : bool
        Fetch from the metadata's addresses what is not in the folder.
    shards : Path, optional
        The folder of shards, where it has moved.

    Attributes
    ----------
    tally : Tally
        What was missing so far.

    Raises
    ------
    InvalidInput
        Another SPACE, or a shard that has changed.
    MissingResource
        The index, a shard, the folder or an optional package is absent.
    UsageProblem
        Nothing tells where the pictures are, or downloads are forbidden.
    """

    def __init__(
        self,
        index: Path,
        space: str,
        folder: Path | None = None,
        *,
        download: bool = False,
        shards: Path | None = None,
    ) -> None:
        self.opened = open_index(index, shards)
        refuse_other_space(self.opened, space)
        self.pictures = open_pictures(self.opened, folder, download)
        self.tally = Tally()

    def __call__(self, vectors: Any, candidates: int = CANDIDATES) -> list[Found | None]:
        """The nearest picture of every query among its nearest rows.

        Parameters
        ----------
        vectors : float array (q, D) or (q, 1, D)
            Of any length but 0.
        candidates : int

        Returns
        -------
        list of Found, or None where no candidate's picture is at hand
        """
        return [found[0] if found else None for found in self.first(vectors, 1, candidates)]

    def first(self, vectors: Any, count: int, candidates: int = CANDIDATES) -> list[list[Found]]:
        """The first `count` pictures at hand of every query, nearest first; fewer where fewer are.

        Parameters
        ----------
        vectors : float array (q, D) or (q, 1, D)
            Of any length but 0.
        count, candidates : int
        """
        collection = self.opened.collection
        queries: Floats = unit_queries(vectors, self.opened.manifest.plan.dim, "the predictions")
        scores, positions = nearest(self.opened, queries, min(candidates, len(collection)))
        answers = []
        for row, at in zip(scores, positions, strict=True):
            records = metadata.fetch(collection, at[at >= 0])
            places, pixels = first_at_hand(records, count, self.pictures, self.tally)
            names = collection.names(at[places])
            answers.append(
                [
                    Found(id=name, score=float(row[place]), coarse_rank=place + 1, pixels=picture)
                    for name, place, picture in zip(names, places, pixels, strict=True)
                ]
            )
        return answers


def open_pictures(opened: Opened, folder: Path | None, download: bool) -> Pictures:
    """Where an index' pictures are; by default the folder that was embedded, where one was."""
    record = opened.index / EMBEDDINGS / ENCODER
    if folder is None and record.is_file() and "pictures" in (facts := read_json(record)):
        folder = Path(facts["pictures"])
    return Pictures(folder, download, metadata.column_names(opened.collection))


def first_at_hand(
    records: Sequence[Mapping[str, Any]], count: int, pictures: Pictures, tally: Tally
) -> tuple[list[int], list[Pixels]]:
    """The first `count` pictures that can be had, and their places among the records."""
    places: list[int] = []
    found: list[Pixels] = []

    def get(place: int) -> Pixels | NoPicture:
        try:
            return pictures.get(records[place])
        except NoPicture as why:
            return why

    step = AT_ONCE if count > 1 else 1
    with ThreadPoolExecutor(step) as pool:
        for low in range(0, len(records), step):
            turn = range(low, min(low + step, len(records)))
            for place, answer in zip(turn, pool.map(get, turn), strict=True):
                if len(places) == count:
                    return places, found
                if isinstance(answer, NoPicture):
                    tally.reasons[str(answer)] += 1
                else:
                    places.append(place)
                    found.append(answer)
            if len(places) == count:
                break
    return places, found
