"""What the brain model's own predictions say: their rank, single trials, and the bottleneck curve.

Scores here are two-way identification of the test images by the cosine of predicted and true
embeddings, chance .5: cheap enough to repeat, and without a generator between.

Shapes: `n` rows of responses, `G` test images, `V` voxels, `D` flattened embedding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core import stats
from mindeye_cli.core.gram import centred_gram
from mindeye_cli.core.retrieval_scores import cosine
from mindeye_cli.core.shares import pseudo_values
from mindeye_cli.core.trials import ImageTrials
from mindeye_cli.models.bottleneck import Bottleneck
from mindeye_cli.models.run_model import RunModel

Floats = NDArray[np.float32]
Predict = Callable[[Floats], Floats]
CHANCE = 0.5
DIMENSIONS = (1, 2, 5, 10, 20, 50, 100, 200)
# Share of the score above chance that "enough" dimensions give.
ENOUGH = 0.9
# Rows predicted at once: a paper-sized embedding has 197,376 values.
CHUNK_ROWS = 128


def predictor(model: RunModel) -> Predict:
    """The run's output that is compared with true embeddings."""
    output = output_of(model)
    return lambda voxels: model.predict(voxels, outputs=(output,))[output]


def output_of(model: RunModel) -> str:
    """Its name."""
    return "prediction" if model.kind == "ridge" else "retrieval"


def similarity(predict: Predict, voxels: Floats, true: Floats) -> stats.Floats:
    """Cosine of true embeddings (G, ...) and predictions from (n, V), float64 (G, n)."""
    starts = range(0, len(voxels), CHUNK_ROWS)
    return np.concatenate(
        [cosine(true, predict(voxels[start : start + CHUNK_ROWS])) for start in starts], axis=1
    )


def identification(cosines: stats.Floats, images: stats.Ints) -> dict[str, Any]:
    """Two-way identification of each prediction's image among all others.

    Parameters
    ----------
    cosines : float64 array (G, n)
    images : int64 array (n,)
        Which of the G each prediction is of.

    Returns
    -------
    dict
        `value`, `ci95`, `n` (images).
    """
    won = wins(cosines, images)
    pairs = images[:, None] != images[None, :]
    return {
        "value": float(won[pairs].mean()) if pairs.any() else float("nan"),
        "ci95": stats.pair_interval(won, images),
        "n": len(np.unique(images)),
    }


def wins(cosines: stats.Floats, images: stats.Ints) -> stats.Floats:
    """Whether the stimulus of row i loses against the own one of prediction j, float64 (n, n).

    Ties count half.
    """
    own = cosines[images, np.arange(len(images))][None, :]
    won = (cosines < own) + 0.5 * (cosines == own)
    return np.asarray(won[images])


def ranks(predicted: Floats, true: Floats) -> dict[str, Any]:
    """Participation ratio and effective rank of predictions and of the truth, (G, ...) each.

    Both count dimensions with much variance: (sum l)^2 / sum l^2, and exp of the entropy of the
    normalised eigenvalues (Roy & Vetterli 2007). Equally many images bound both sets alike.
    """
    found = {}
    for name, rows in (("predicted", predicted), ("true", true)):
        values = np.clip(np.linalg.eigvalsh(centred_gram(rows)), 0.0, None)
        share = values / max(values.sum(), np.finfo(float).tiny)
        positive = share[share > 0]
        found[name] = {
            "participation_ratio": float(1 / max((share**2).sum(), np.finfo(float).tiny)),
            "effective_rank": float(np.exp(-(positive * np.log(positive)).sum())),
        }
    ratio = found["predicted"]["effective_rank"] / found["true"]["effective_rank"]
    return {**found, "ratio": ratio, "n": len(predicted)}


def by_repeats(model: RunModel, subject: Any, trials: ImageTrials, true: Floats) -> dict[str, Any]:
    """Identification from single trials and from means of the first r repeats of an image.

    Every row has the same images: those with the most repeats.

    Parameters
    ----------
    model : RunModel
    subject : mindeye_store Subject
    trials : ImageTrials
        Of the test images.
    true : float32 array (G, ...)
    """
    most = int(trials.counts.max())
    chosen = np.flatnonzero(trials.counts == most)
    part = trials.take(chosen)
    voxels = np.asarray(subject.voxels.read(part.trial_rows), np.float32)
    voxels = voxels.reshape(len(chosen), most, -1)
    rows, images = [], np.arange(len(chosen), dtype=np.int64)
    for repeats in range(1, most + 1):
        single = repeats == 1
        shown = voxels.reshape(len(chosen) * most, -1) if single else voxels[:, :repeats].mean(1)
        groups = np.repeat(images, most) if single else images
        cosines = similarity(predictor(model), shown, true[chosen])
        scored = identification(cosines, groups)
        rows.append({"repeats": repeats, "rows": len(groups), **scored})
    return {"rows": rows, "average": "voxels, before the model"}


def bottleneck(
    model: RunModel, training: Floats, test: Floats, true: Floats, seed: int
) -> dict[str, Any]:
    """Identification through the first k dimensions of the trunk, and how many are enough.

    Parameters
    ----------
    model : RunModel
    training, test : float32 arrays (N, V), (G, V)
        Mean responses.
    true : float32 array (G, ...)
    seed : int
        Of the resampled images.

    Returns
    -------
    dict
        `rows` (`dimensions`, `value`, `ci95`, `n`; the last has all of them), `rank`,
        `dimensions90` (`value`, `ci95`).
    """
    narrow, images = Bottleneck(model, training), np.arange(len(test), dtype=np.int64)
    rows, units = [], []
    for k in (*(k for k in DIMENSIONS if k < narrow.rank), None):
        cosines = similarity(narrow.predictor(output_of(model), k), test, true)
        scored = identification(cosines, images)
        rows.append({"dimensions": narrow.rank if k is None else k, **scored})
        units.append(pseudo_values(wins(cosines, images), images))
    enough = enough_dimensions(rows, np.stack(units), seed)
    return {"rows": rows, "rank": narrow.rank, "dimensions90": enough}


def enough_dimensions(rows: list[dict[str, Any]], units: stats.Floats, seed: int) -> dict[str, Any]:
    """The fewest dimensions with 90 % of the full score above chance; interval over images.

    `units` are the images' pseudo-values, float64 (steps, G).
    """
    sizes = np.array([row["dimensions"] for row in rows], dtype=np.float64)
    nothing = float("nan")
    if not rows[-1]["ci95"][0] > CHANCE:
        note = "the full model is not clearly above chance"
        return {"value": nothing, "ci95": (nothing, nothing), "note": note}
    weights = stats.image_weights(np.arange(units.shape[1], dtype=np.int64), seed)
    above = np.vstack([units.mean(axis=1), weights @ units.T / units.shape[1]]) - CHANCE
    found = sizes[(above >= ENOUGH * above[:, -1:]).argmax(axis=1)]
    return {"value": float(found[0]), "ci95": stats.interval(found[1:], units.shape[1])}
