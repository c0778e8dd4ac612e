"""What the brain model's own predictions say: their rank, single trials, and the bottleneck curve.

Scores here are two-way identification of the test images by the cosine of predicted and true
embeddings, chance .5: cheap enough to repeat, and without a generator between.

Shapes: `n` rows of responses, `G` test images, `D` flattened embedding, `K` steps of a curve.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core import stats
from mindeye_cli.core.retrieval_scores import cosine
from mindeye_cli.core.shares import pseudo_values
from mindeye_cli.core.trials import ImageTrials
from mindeye_cli.models.bottleneck import Bottleneck
from mindeye_cli.models.run_model import RunModel

Floats = NDArray[np.float32]
CHANCE = 0.5
DIMENSIONS = (1, 2, 5, 10, 20, 50, 100, 200)
# Share of the score above chance that "enough" dimensions give.
ENOUGH = 0.9


def output_of(model: RunModel) -> str:
    """The output that is compared with true embeddings."""
    return "prediction" if model.kind == "ridge" else "retrieval"


def identification(predicted: Floats, true: Floats, groups: stats.Ints) -> dict[str, Any]:
    """Two-way identification; `true` holds the own embedding of every row, (n, D)."""
    wins = _wins(predicted, true, groups)
    pairs = groups[:, None] != groups[None, :]
    return {
        "value": float(wins[pairs].mean()) if pairs.any() else float("nan"),
        "ci95": stats.pair_interval(wins, groups),
        "n": len(np.unique(groups)),
    }


def _wins(predicted: Floats, true: Floats, groups: stats.Ints) -> stats.Floats:
    """Whether stimulus i (row) loses against the own one of prediction j (column); ties half."""
    similarity = cosine(true, predicted)
    own = np.diagonal(similarity)[None, :]
    return np.asarray((similarity < own) + 0.5 * (similarity == own))


def ranks(predicted: Floats, true: Floats) -> dict[str, Any]:
    """Participation ratio and effective rank of predictions and of the truth, (G, D) each.

    Both count dimensions with much variance: (sum l)^2 / sum l^2, and exp of the entropy of the
    normalised eigenvalues (Roy & Vetterli 2007). Equally many images bound both sets alike.
    """
    found = {}
    for name, rows in (("predicted", predicted), ("true", true)):
        flat = rows.reshape(len(rows), -1).astype(np.float64)
        centred = flat - flat.mean(axis=0)
        values = np.clip(np.linalg.eigvalsh(centred @ centred.T), 0.0, None)
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
    true : float32 array (G, D)
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
        predicted = model.predict(shown, outputs=(output_of(model),))[output_of(model)]
        scored = identification(predicted, true[chosen][groups], groups)
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
    true : float32 array (G, D)
    seed : int
    """
    narrow, groups = Bottleneck(model, training), np.arange(len(test), dtype=np.int64)
    steps = [k for k in DIMENSIONS if k < narrow.rank]
    rows, units = [], []
    for k in (*steps, None):
        predicted = narrow.predict(test, output_of(model), k)
        scored = identification(predicted, true, groups)
        rows.append({"dimensions": narrow.rank if k is None else k, **scored})
        units.append(pseudo_values(_wins(predicted, true, groups), groups))
    return {
        "rows": rows,
        "rank": narrow.rank,
        "dimensions90": _enough(rows, np.stack(units), seed),
    }


def _enough(rows: list[dict[str, Any]], units: stats.Floats, seed: int) -> dict[str, Any]:
    """The fewest dimensions with 90 % of the full score above chance; interval over images."""
    sizes = np.array([row["dimensions"] for row in rows], dtype=np.float64)
    nothing = float("nan")
    if not rows[-1]["ci95"][0] > CHANCE:
        note = "the full model is not clearly above chance"
        return {"value": nothing, "ci95": (nothing, nothing), "note": note}
    weights = stats.image_weights(np.arange(units.shape[1], dtype=np.int64), seed)
    above = np.vstack([units.mean(axis=1), weights @ units.T / units.shape[1]]) - CHANCE
    first = (above >= ENOUGH * above[:, -1:]).argmax(axis=1)
    found = sizes[first]
    return {"value": float(found[0]), "ci95": stats.interval(found[1:], units.shape[1])}
