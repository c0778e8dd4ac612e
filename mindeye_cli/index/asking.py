"""What is asked of an index: names, vectors, and what the second stage and the filters need.

Shapes: `q` queries, `D` width, `T` flattened width of the token SPACE.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindeye_cli.core.neighbours.collection import Floats
from mindeye_cli.core.neighbours.queries import read_queries, unit_queries
from mindeye_cli.core.neighbours.search import Opened, refuse_other_space
from mindeye_cli.index.brain import predict, stimulus_vectors
from mindeye_cli.index.search_options import SearchOptions
from mindeye_store import open_store
from mindeye_store.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """Queries.

    Attributes
    ----------
    names : list of str
        Image ids, or row numbers of a file.
    vectors : float32 array (q, D), at length 1
    stimuli : float32 array (q, D) or None
    tokens : float32 array (q, T) or None
    token_space : str or None
    """

    names: list[str]
    vectors: Floats
    stimuli: Floats | None = None
    tokens: Floats | None = None
    token_space: str | None = None

    def take(self, low: int, high: int) -> Questions:
        """Some of them."""
        return Questions(
            names=self.names[low:high],
            vectors=self.vectors[low:high],
            stimuli=None if self.stimuli is None else self.stimuli[low:high],
            tokens=None if self.tokens is None else self.tokens[low:high],
            token_space=self.token_space,
        )


def read_questions(options: SearchOptions, opened: Opened) -> Questions:
    """Read or predict the queries.

    Raises
    ------
    InvalidInput
        Vectors of another model or width, or another number of stimuli.
    MissingResource
        A file, store or run is absent.
    """
    plan = opened.manifest.plan
    stimuli = None if options.stimuli is None else read_queries(options.stimuli, plan.dim)
    if options.queries is not None:
        vectors = read_queries(options.queries, plan.dim)
        _as_many(stimuli, vectors, options.stimuli)
        return Questions(
            names=[str(row) for row in range(len(vectors))], vectors=vectors, stimuli=stimuli
        )
    assert options.run is not None and options.store is not None
    store: Any = open_store(options.store)
    coarse = predict(store, options.run, options.split, options.subject)
    refuse_other_space(opened, coarse.info.space)
    vectors = unit_queries(coarse.vectors, plan.dim, str(options.run))
    if options.drop_near is not None and stimuli is None:
        stimuli = stimulus_vectors(store, coarse)
    _as_many(stimuli, vectors, options.stimuli)
    tokens = None
    if options.rerank is not None:
        tokens = predict(store, options.rerank, options.split, options.subject)
    return Questions(
        names=coarse.ids,
        vectors=vectors,
        stimuli=stimuli,
        tokens=None if tokens is None else tokens.vectors,
        token_space=None if tokens is None else tokens.info.space,
    )


def _as_many(stimuli: Floats | None, vectors: Floats, file: Path | None) -> None:
    if stimuli is not None and len(stimuli) != len(vectors):
        raise InvalidInput(
            f"{len(stimuli)} stimuli for {len(vectors)} queries",
            where=str(file),
            fix="give one row a query, in their order",
        )
