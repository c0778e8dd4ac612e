"""`mindeye retrieve search`: one record a query, with ids, true cosines and metadata.

Shapes: `q` queries, `N` rows of the collection, `k` results.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np

from mindeye_cli.core.neighbours import metadata
from mindeye_cli.core.neighbours.at_hand import Tally, open_pictures
from mindeye_cli.core.neighbours.cluster import Run, runner
from mindeye_cli.core.neighbours.collection import Ints
from mindeye_cli.core.neighbours.exact import Mask
from mindeye_cli.core.neighbours.search import Opened, nearest, open_index
from mindeye_cli.core.neighbours.truth import Doubles, rescore
from mindeye_cli.core.threads import apply_threads
from mindeye_cli.index.asking import Questions, read_questions
from mindeye_cli.index.rerank import rerank
from mindeye_cli.index.search_options import SearchOptions
from mindeye_cli.models.encoders import load_encoder
from mindeye_store.errors import InvalidInput, PartialResult

logger = logging.getLogger("mindeye")

QUERIES_AT_ONCE = 1024


def search_index(options: SearchOptions) -> Iterator[dict[str, Any]]:
    """Search an index.

    Parameters
    ----------
    options : SearchOptions

    Yields
    ------
    dict
        `query`, `ids` (SHARD:ROW, best first), `scores` (cosines; of the token model with
        --rerank) and `metadata` (a record each; with --rerank also `coarse_rank` from 1).

    Raises
    ------
    InvalidInput
        Another model's queries, a changed shard, k larger than the collection.
    MissingResource
        The index, a shard, a run or an optional package is absent.
    PartialResult
        No picture of any candidate of some queries is at hand; the others were answered.
    """
    apply_threads()
    opened = open_index(options.index, options.shards)
    questions = read_questions(options, opened)
    mask = None if options.where is None else metadata.allowed(opened.collection, options.where)
    rows = len(opened.collection) if mask is None else int(mask.sum())
    if options.k > rows:
        raise InvalidInput(
            f"{options.k} neighbours are asked for, there are {rows} vectors",
            where=str(options.index),
            fix=f"--k {rows} or less",
        )
    second = _Second(options, opened) if options.rerank is not None else None
    unanswered: list[str] = []
    with runner(options.scheduler) as run:
        for low in range(0, len(questions.names), QUERIES_AT_ONCE):
            part = questions.take(low, low + QUERIES_AT_ONCE)
            scores, positions = _coarse(
                options, opened, part, min(rows, _depth(options)), mask, run
            )
            for at, name in enumerate(part.names):
                line = _line(opened, name, scores[at], positions[at])
                if second is not None:
                    line = second.again(line, part, at, options.k)
                    unanswered += [] if line["ids"] else [name]
                yield line
    if second is not None and second.tally.reasons:
        logger.warning("pictures that were not at hand: %s", dict(second.tally.reasons))
    if unanswered:
        raise PartialResult(
            f"no picture of any candidate is at hand for {len(unanswered)} queries",
            where=f"query {unanswered[0]}",
            fix="give --pictures DIR, --download, or more --candidates",
        )


class _Second:
    """What the second stage needs, loaded once."""

    def __init__(self, options: SearchOptions, opened: Opened) -> None:
        self.pictures = open_pictures(opened, options.pictures, options.download)
        self.encoder: Any = None
        self.weights = options.weights
        self.tally = Tally()

    def again(self, line: dict[str, Any], asked: Questions, at: int, k: int) -> dict[str, Any]:
        """Rank a line's first k pictures at hand by the token model."""
        assert asked.tokens is not None and asked.token_space is not None
        if self.encoder is None:
            self.encoder = load_encoder(asked.token_space, self.weights)
        records = line["metadata"]
        ranked = rerank(asked.tokens[at], records, k, self.pictures, self.encoder, self.tally)
        return {
            "query": line["query"],
            "ids": [line["ids"][place] for place in ranked.places],
            "scores": ranked.scores,
            "metadata": [{**records[place], "coarse_rank": place + 1} for place in ranked.places],
        }


def _depth(options: SearchOptions) -> int:
    """How many neighbours the first stage finds."""
    return options.k if options.rerank is None else max(options.k, options.candidates)


def _coarse(
    options: SearchOptions,
    opened: Opened,
    asked: Questions,
    depth: int,
    mask: Mask | None,
    run: Run,
) -> tuple[Doubles, Ints]:
    """The nearest rows, without those that nearly are the stimulus when that is asked for."""
    exact = options.exact
    if options.drop_near is None:
        return nearest(opened, asked.vectors, depth, exact=exact, mask=mask, run=run)
    assert asked.stimuli is not None
    rows = len(opened.collection) if mask is None else int(mask.sum())
    wider = min(rows, 2 * depth)
    while True:
        scores, positions = nearest(opened, asked.vectors, wider, exact=exact, mask=mask, run=run)
        near = rescore(opened.collection, asked.stimuli, positions) >= options.drop_near
        kept = ~near & (positions >= 0)
        if wider == rows or (kept.sum(axis=1) >= depth).all():
            break
        wider = min(rows, 2 * wider)
    # A stable sort by "dropped" moves what is kept to the front in its order.
    order = np.argsort(~kept, axis=1, kind="stable")[:, :depth]
    gone = ~np.take_along_axis(kept, order, 1)
    positions = np.where(gone, -1, np.take_along_axis(positions, order, 1))
    return np.take_along_axis(scores, order, 1), positions


def _line(opened: Opened, name: str, scores: Doubles, positions: Ints) -> dict[str, Any]:
    there = positions >= 0
    found = positions[there]
    return {
        "query": name,
        "ids": opened.collection.names(found),
        "scores": [float(score) for score in scores[there]],
        "metadata": metadata.fetch(opened.collection, found),
    }
