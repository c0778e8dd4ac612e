"""The second stage: the nearest rows whose pictures are at hand, ranked by a token model.

As published (MindEye 2023, section 4.1): 300 candidates by the pooled model's query, the first 16
whose picture can be had, and of those the order by cosine of their tokens to the projector's.

Shapes: `D` flattened width of the token SPACE, `m` pictures at hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mindeye_cli.core.neighbours.at_hand import Tally, first_at_hand
from mindeye_cli.core.neighbours.collection import Floats
from mindeye_cli.core.neighbours.decode import Pixels
from mindeye_cli.core.neighbours.pictures import Pictures
from mindeye_cli.models.encoders import Encoder


@dataclass(frozen=True, slots=True)
class Ranked:
    """Places among the candidates in their new order, and the new scores."""

    places: list[int]
    scores: list[float]


def rerank(
    query: Floats,
    records: Sequence[Mapping[str, Any]],
    count: int,
    pictures: Pictures,
    encoder: Encoder,
    tally: Tally,
) -> Ranked:
    """Rank the first `count` candidates that have a picture.

    Parameters
    ----------
    query : float32 array (D,)
        The token run's projector output at length 1.
    records : sequence of dict
        The candidates' metadata, nearest first.
    count : int
    pictures : Pictures
    encoder : Encoder
        Of the token run's SPACE.
    tally : Tally
        Takes note of what is missing.

    Returns
    -------
    Ranked
        Fewer than `count` where fewer pictures are at hand.
    """
    places, found = first_at_hand(records, count, pictures, tally)
    if not places:
        return Ranked([], [])
    scores = np.array([_cosine(encoder, picture, query) for picture in found])
    order = np.argsort(-scores, kind="stable")
    return Ranked([places[i] for i in order], [float(scores[i]) for i in order])


def _cosine(encoder: Encoder, picture: Pixels, query: Floats) -> float:
    row = encoder.encode(picture[None]).reshape(-1).astype(np.float64)
    return float(row @ query.astype(np.float64) / np.linalg.norm(row))
