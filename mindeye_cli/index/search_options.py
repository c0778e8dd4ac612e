"""Options of `mindeye retrieve search`, as on its command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mindeye_cli.core.neighbours.pictures import refuse_offline
from mindeye_store.errors import UsageProblem

SPLITS = ("test", "train")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """What to search, with what.

    Attributes
    ----------
    index : Path
    queries : Path, optional
        Vectors; or else `store` and `run`, whose brain responses are embedded.
    store, run : Path, optional
    subject : str, optional
    split : {"test", "train"}
    k : int
        Neighbours; with `rerank` also the number of pictures that are ranked again.
    candidates : int
        Neighbours of the first stage.
    exact : bool
    rerank : Path, optional
        A run of a token SPACE.
    where : str, optional
        A filter on metadata.
    drop_near : float, optional
        Leave out rows whose cosine with the stimulus is at least this.
    stimuli : Path, optional
        The stimuli's vectors, a row a query; those of the store by default.
    pictures : Path, optional
    download : bool
    shards : Path, optional
        The folder of shards, where it has moved.
    scheduler : str, optional
    weights : Path, optional
        Of the token SPACE's encoder.
    """

    index: Path
    queries: Path | None = None
    store: Path | None = None
    run: Path | None = None
    subject: str | None = None
    split: str = "test"
    k: int = 16
    candidates: int = 300
    exact: bool = False
    rerank: Path | None = None
    where: str | None = None
    drop_near: float | None = None
    stimuli: Path | None = None
    pictures: Path | None = None
    download: bool = False
    shards: Path | None = None
    scheduler: str | None = None
    weights: Path | None = None

    def __post_init__(self) -> None:
        for name, number in (("--k", self.k), ("--candidates", self.candidates)):
            if number < 1:
                raise UsageProblem(f"{number} is less than 1", where=name)
        if self.split not in SPLITS:
            raise UsageProblem(f"unknown value {self.split!r}", where="--split", fix="test, train")
        self._check_queries()
        if self.download:
            refuse_offline()

    def _check_queries(self) -> None:
        brain = self.store is not None and self.run is not None
        if brain == (self.queries is not None) or (self.store is None) != (self.run is None):
            raise UsageProblem(
                "queries come from a file or from a store and a run",
                where="--queries",
                fix="--queries Q.npy, or --store STORE --run RUN",
            )
        if self.rerank is not None and not brain:
            raise UsageProblem(
                "ranking again needs the brain responses", where="--rerank", fix="--store, --run"
            )
        if self.drop_near is not None and not brain and self.stimuli is None:
            raise UsageProblem(
                "the stimuli are needed to tell what is near them",
                where="--drop-near",
                fix="--stimuli S.npy, a row a query",
            )
