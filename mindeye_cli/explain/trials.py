"""Which responses the decoder's parts look at: measured ones, of the image or of its nearest seen.

A response of the image itself is taken where the subject saw it. Otherwise those of the most
similar images that the subject saw, first of all such as did not train the decoder, and they are
named. On request, the encoding model's prediction: what the decoder makes of that is a model of a
model.

Shapes: `n` responses, `V` voxels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.retrieval_scores import cosine
from mindeye_cli.core.trials import average_trials, image_trials
from mindeye_cli.explain.asked import Asked
from mindeye_cli.explain.encoder import Encoder

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
NEAREST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Responses for the decoder.

    Attributes
    ----------
    voxels : float32 array (n, V)
        Means over the trials of each image.
    owner : int64 array (n,)
        Which of the images asked about each response stands for.
    source : {"measured", "nearest seen", "model of a model"}
    images : list of dict
        `id`, `trials`, `cosine` with the image asked about, and whether it trained the decoder.
    """

    voxels: Floats
    owner: Rows
    source: str
    images: list[dict[str, Any]]


def responses_for(encoder: Encoder, asked: Asked, *, predicted: bool = False) -> Measured:
    """Find the responses.

    Parameters
    ----------
    encoder : Encoder
    asked : Asked
        Of a set, the images that the subject saw are enough.
    predicted : bool
        Take the encoding model's predictions.
    """
    if predicted:
        return Measured(
            voxels=np.asarray(encoder.refits.model.predict(asked.vectors).numpy()),
            owner=np.arange(len(asked.names), dtype=np.int64),
            source="model of a model",
            images=[],
        )
    trials = image_trials(encoder.subject, "all")
    seen = np.isin(asked.rows, trials.image_rows)
    if seen.any():
        owner = np.flatnonzero(seen).astype(np.int64)
        rows, source = asked.rows[seen], "measured"
    else:
        rows, owner = _nearest(encoder, asked, trials.image_rows)
        source = "nearest seen"
    places = np.searchsorted(trials.image_rows, rows)
    taken = trials.take(places)
    likeness = _likeness(encoder, asked.vectors[owner], rows)
    trained = np.isin(rows, encoder.trained)
    images = [
        {
            "id": encoder.store.images.ids[row],
            "trials": int(count),
            "cosine": float(value),
            "trained_decoder": bool(flag),
        }
        for row, count, value, flag in zip(rows, taken.counts, likeness, trained, strict=True)
    ]
    return Measured(
        voxels=average_trials(encoder.subject, taken), owner=owner, source=source, images=images
    )


def _nearest(encoder: Encoder, asked: Asked, seen: Rows) -> tuple[Rows, Rows]:
    """The most similar seen images of each image asked about, and which one they stand for."""
    held_out = np.setdiff1d(seen, encoder.trained)
    pool = held_out if len(held_out) else seen
    centre = encoder.refits.model.basis.mean.numpy()
    likeness = cosine(asked.vectors, encoder.vectors(pool), centre)
    best = np.argsort(-likeness, axis=1, kind="stable")[:, :NEAREST]
    owner = np.repeat(np.arange(len(asked.names), dtype=np.int64), best.shape[1])
    return pool[best].ravel(), owner


def _likeness(encoder: Encoder, vectors: Floats, rows: Rows) -> NDArray[np.float64]:
    centre = encoder.refits.model.basis.mean.numpy()
    return np.asarray(np.diag(cosine(vectors, encoder.vectors(rows), centre)))
