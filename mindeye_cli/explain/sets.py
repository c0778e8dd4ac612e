"""The encoding part of `explain set`: which areas respond to what a set of images shares.

Two nulls answer two questions. Random sets of the same size: is the *set* unusual? Refits on
permuted image rows: does the *area* carry signal for it? The first alone is no test of voxels:
noise that happens to follow what the set shares passes it (measured in docs/explain.md).

Shapes: `n` images of the set, `A` areas, `R` references, `J` resamples, `D` features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.sampler import rng
from mindeye_cli.explain.asked import Asked
from mindeye_cli.explain.encoder import Encoder
from mindeye_cli.explain.image import other_references
from mindeye_cli.explain.responds import (
    BOOTSTRAP,
    LEVEL,
    Response,
    area_scores,
    record,
    respond,
)
from mindeye_store.errors import InvalidInput

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
RANDOM_SETS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """A set against others.

    Attributes
    ----------
    response : Response
        To the difference of the mean images.
    interval : float64 array (A, 2)
        Over refits and over the images of both sets.
    unusual : float64 array (A,) or None
        p of the score among random sets of the same size, corrected for all areas; None without
        enough references.
    coherence : dict
        Mean cosine between two images of the set, less the mean image, beside random sets'.
    """

    response: Response
    interval: Doubles
    unusual: Doubles | None
    coherence: dict[str, Any]


def contrast(encoder: Encoder, asked: Asked, against: Asked | None, seed: int = 0) -> Contrast:
    """Compare a set with another, or with the references.

    Raises
    ------
    InvalidInput
        There is nothing to compare with.
    """
    others = other_references(encoder, asked)
    beside = others if against is None else against.vectors
    if not len(beside):
        raise InvalidInput(
            "the store has no image outside the fit to compare the set with",
            where=str(encoder.store.path),
            fix="give other images: --vs DIR",
        )
    origin = beside.mean(axis=0)
    response = respond(encoder, asked.vectors.mean(axis=0) - origin, seed=seed)
    own, other = (area_scores(encoder, v, origin) for v in (asked.vectors, beside))
    pool = _pool(encoder, asked, others)
    moved = _resampled(own, seed, "set") - _resampled(other, seed, "others")
    return Contrast(
        response=response,
        interval=response.interval(moved - moved.mean(axis=0)),
        unusual=_unusual(encoder, asked, pool, own.mean(axis=0) - other.mean(axis=0), seed),
        coherence=_coherence(encoder, asked.vectors, pool, seed),
    )


def set_areas(encoder: Encoder, found: Contrast) -> dict[str, Any]:
    """The areas' lines, the surest first; `q` is the p corrected for all areas.

    An area is named where both nulls are refused.
    """
    lines = {}
    for number in np.argsort(-found.response.t, kind="stable"):
        line = record(found.response, int(number), found.interval)
        line["q"] = line.pop("p")
        unusual = None if found.unusual is None else float(found.unusual[number])
        line["named"] &= unusual is None or unusual <= LEVEL
        mask = encoder.areas.masks[number]
        line |= {
            "unusual": unusual,
            "significant": float((found.response.q[mask] < LEVEL).mean()),
            "voxels": int(mask.sum()),
        }
        lines[encoder.areas.names[number]] = line
    return lines


def _resampled(scores: Doubles, seed: int, name: str) -> Doubles:
    """Mean scores of resampled images, (n, A) to (J, A)."""
    draws = rng(seed, "bootstrap", name).integers(0, len(scores), (BOOTSTRAP, len(scores)))
    return np.asarray(scores[draws].mean(axis=1))


def _pool(encoder: Encoder, asked: Asked, others: Floats) -> Floats:
    """Features that random sets are drawn from: the references', or of all images for large sets.

    Only features are looked at, so images that trained the encoding model may be among them.
    """
    if len(others) >= 2 * len(asked.vectors):
        return others
    every = np.setdiff1d(np.arange(encoder.store.images.n, dtype=np.int64), asked.rows)
    return encoder.vectors(every)


def _random_sets(n: int, size: int, seed: int) -> NDArray[np.int64] | None:
    """Positions of random sets without replacement (J, n); None where they would hardly differ."""
    if n < 2 * size:
        return None
    random = rng(seed, "random sets")
    return np.stack([random.choice(n, size, replace=False) for _ in range(RANDOM_SETS)])


def _unusual(
    encoder: Encoder, asked: Asked, pool: Floats, difference: Doubles, seed: int
) -> Doubles | None:
    """p of the set's difference among random sets', against the largest of all areas."""
    sets = _random_sets(len(pool), len(asked.vectors), seed)
    if sets is None:
        return None
    null = area_scores(encoder, pool, pool.mean(axis=0))[sets].mean(axis=1)
    spread = null.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    largest = np.abs(null / spread).max(axis=1)
    beyond = (largest[:, None] >= np.abs(difference / spread)).sum(axis=0)
    return np.asarray((1 + beyond) / (1 + RANDOM_SETS))


def _coherence(encoder: Encoder, vectors: Floats, pool: Floats, seed: int) -> dict[str, Any]:
    """Mean pairwise cosine of the set, and its place among random sets' of the same size."""
    if len(vectors) < 2:
        return {"value": None, "random": None, "p": None}
    centre = encoder.refits.model.basis.mean.numpy()
    own = _unit(vectors - centre)
    value = _pairwise(own.sum(axis=0), len(own))
    sets = _random_sets(len(pool), len(vectors), seed)
    if sets is None:
        return {"value": float(value), "random": None, "p": None}
    members = np.zeros((len(sets), len(pool)))
    np.put_along_axis(members, sets, 1.0, axis=1)
    null = _pairwise(members @ _unit(pool - centre), len(own))
    p = (1 + (null >= value).sum()) / (1 + len(null))
    return {"value": float(value), "random": float(null.mean()), "p": float(p)}


def _unit(rows: Floats) -> Doubles:
    wide = rows.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=-1, keepdims=True)
    return np.asarray(wide / np.where(lengths > 0, lengths, 1.0))


def _pairwise(sums: Doubles, n: int) -> Doubles:
    """Mean cosine of all pairs of n unit rows from their sum, (..., D) to (...)."""
    return np.asarray((np.square(sums).sum(axis=-1) - n) / (n * (n - 1)))
