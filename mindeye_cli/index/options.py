"""Options of `mindeye retrieve index`, as on its command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mindeye_store.errors import UsageProblem

KINDS = ("auto", "exact", "ivf")
CODES = ("rabitq", "pq")
# From here on an exact scan of one query takes about as long as people wait for.
EXACT_ROWS = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOptions:
    """What to index, and how.

    Attributes
    ----------
    source : Path
        A folder of embedding shards, or of pictures.
    index : Path
    kind : {"auto", "exact", "ivf"}
        `auto` is exact below two million vectors.
    codes : {"rabitq", "pq"}
    space : str, optional
        The SPACE of the vectors; needed for pictures.
    weights : Path, optional
        Local weights for embedding pictures.
    unnormalised : bool
        Compare rows of any length by cosine instead of refusing them.
    lists : int, optional
        Number of inverted lists; by default about four times the root of the number of vectors.
    part_shards : int
        Shards in a part.
    recall : float
        Wanted of the 16 nearest; of the 300 nearest 0.05 less.
    queries : Path, optional
        Own vectors to measure the recall with, beside those of the collection.
    centroids : Path, optional
        Another index whose trained centroids are taken over.
    scheduler : str, optional
        Address of a Dask scheduler.
    resume, overwrite : bool
    seed : int
    """

    source: Path
    index: Path
    kind: str = "auto"
    codes: str = "rabitq"
    space: str | None = None
    weights: Path | None = None
    unnormalised: bool = False
    lists: int | None = None
    part_shards: int = 1
    recall: float = 0.95
    queries: Path | None = None
    centroids: Path | None = None
    scheduler: str | None = None
    resume: bool = True
    overwrite: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, choices in (("--kind", self.kind, KINDS), ("--codes", self.codes, CODES)):
            if value not in choices:
                raise UsageProblem(
                    f"unknown value {value!r}", where=name, fix=f"one of {', '.join(choices)}"
                )
        for name, number in (("--lists", self.lists), ("--part-shards", self.part_shards)):
            if number is not None and number < 1:
                raise UsageProblem(f"{number} is less than 1", where=name)
        if not 0 < self.recall < 1:
            raise UsageProblem(f"{self.recall} is not between 0 and 1", where="--recall")
