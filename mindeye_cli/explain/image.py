"""The encoding part of `explain image`: which areas respond to an image.

Shapes: `A` areas, `V` voxels, `R` references.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.retrieval_scores import cosine
from mindeye_cli.explain.asked import SAME, Asked
from mindeye_cli.explain.encoder import Encoder
from mindeye_cli.explain.responds import Response, area_scores, record, respond

Doubles = NDArray[np.float64]
# Percentiles among fewer images say little.
LEAST_REFERENCES = 20


def image_response(encoder: Encoder, asked: Asked, seed: int = 0) -> Response:
    """What one image does beyond the references' mean image."""
    origin = encoder.reference_vectors.mean(axis=0) if len(encoder.references) else None
    mean = encoder.refits.model.basis.mean.numpy() if origin is None else origin
    return respond(encoder, asked.vectors[0] - mean, seed=seed)


def image_areas(encoder: Encoder, asked: Asked, response: Response) -> dict[str, Any]:
    """The areas' lines, the most unusual for this image first.

    `percentile` is an area's place among its scores for the references, half of the ties counted;
    `deviation` the distance from their mean in their standard deviations. Without them every image
    would light the same voxels of high signal. Both are null where there are fewer than 20.
    """
    others = other_references(encoder, asked)
    percentiles, deviations = places(encoder, response.score, others)
    interval = response.interval()
    lines = {
        name: {
            **record(response, number, interval),
            "percentile": percentiles[number],
            "deviation": deviations[number],
            "voxels": int(encoder.areas.masks[number].sum()),
        }
        for number, name in enumerate(encoder.areas.names)
    }
    order = sorted(lines, key=lambda name: -_rank(lines[name]))
    return {name: lines[name] for name in order}


def other_references(encoder: Encoder, asked: Asked) -> NDArray[np.float32]:
    """Features of the references that are none of the images asked about, float32 (n, D)."""
    vectors = encoder.reference_vectors
    if not len(vectors):
        return vectors
    centre = encoder.refits.model.basis.mean.numpy()
    twin = cosine(vectors, asked.vectors, centre).max(axis=1) >= SAME
    return vectors[~twin]


def places(
    encoder: Encoder, score: Doubles, others: NDArray[np.float32]
) -> tuple[list[float | None], list[float | None]]:
    """Percentile and deviation of every area among the references."""
    if len(others) < LEAST_REFERENCES:
        return [None] * len(score), [None] * len(score)
    scores = area_scores(encoder, others, encoder.reference_vectors.mean(axis=0))
    below = (scores < score).mean(axis=0) + 0.5 * (scores == score).mean(axis=0)
    spread = scores.std(axis=0, ddof=1)
    away = (score - scores.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return [float(100 * v) for v in below], [float(v) for v in away]


def training_distance(encoder: Encoder, vectors: NDArray[np.float32]) -> dict[str, float | str]:
    """How near the images lie to the nearest training image, as cosines less the mean image."""
    centre = encoder.refits.model.basis.mean.numpy()
    likeness = cosine(vectors, encoder.vectors(encoder.trained), centre)
    nearest = likeness.max(axis=1)
    row = int(encoder.trained[likeness[int(nearest.argmax())].argmax()])
    return {"nearest_training": encoder.store.images.ids[row], "cosine": float(nearest.mean())}


def _rank(line: dict[str, Any]) -> float:
    return float(line["score"] if line["deviation"] is None else line["deviation"])
