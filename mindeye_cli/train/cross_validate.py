"""Leave-one-image-out predictions of a closed-form model, and how well they name their image.

Shapes: `N` images, `V` voxels, `Q` flattened target.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.atomic import write_bytes
from mindeye_cli.core.progress import track
from mindeye_cli.core.retrieval_scores import all_places, cosine, expected_top, places
from mindeye_cli.core.stats import pair_interval, permuted_entries, summarise
from mindeye_cli.models.ridge_model import RidgeModel

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
FILE = "cross_validated.npz"


def leave_one_image_out(
    voxels: Floats, counts: Rows, targets: Floats, fit: Callable[..., RidgeModel]
) -> Floats:
    """Predict every image from a model fitted to all the others.

    Parameters
    ----------
    voxels : float32 array (N, V)
        Mean response to every image: all repeats of an image are left out with it.
    counts : int64 array (N,)
    targets : float32 array (N, Q)
    fit : callable
        `fit(voxels, counts, targets)`; chooses its alphas from what it is given.

    Returns
    -------
    float32 array (N, Q)
    """
    predicted = np.empty_like(targets)
    with track("leave one out", len(voxels), unit="images") as bar:
        for image in range(len(voxels)):
            others = np.arange(len(voxels)) != image
            model = fit(voxels[others], counts[others], targets[others])
            predicted[image] = model.predict(voxels[image : image + 1])[0]
            bar.advance()
    return predicted


def score(predicted: Floats, targets: Floats, seed: int) -> dict[str, Any]:
    """Pairwise identification and top-1 by Pearson correlation, with permuted pairings.

    Pairwise: for every prediction, the share of the other images that correlate with it less than
    its own image does; ties count half. The control pairs predictions and images at random,
    without refitting: refitting on shuffled rows would score below .5, a known bias of leaving one
    out.

    Returns
    -------
    dict
        `pairwise` (`value`, `ci95`, `chance`, `permuted`), `top1`, `n`.
    """
    correlation = cosine(_centred(predicted), _centred(targets))
    n = len(correlation)
    own = np.arange(n)
    above, tied = all_places(correlation)
    # Score of prediction j (column) if its image were i (row).
    cross = (1.0 - (above + tied / 2.0) / (n - 1)).T
    value = float(np.diag(cross).mean())
    permuted = permuted_entries(cross, seed).mean(axis=1)
    wins = np.where(correlation.T < np.diag(correlation), 1.0, 0.0)
    wins[correlation.T == np.diag(correlation)] = 0.5
    return {
        "pairwise": {
            "value": value,
            "ci95": pair_interval(wins, own),
            "chance": 0.5,
            "permuted": asdict(summarise(permuted, value, higher=True)),
        },
        "top1": float(expected_top(*places(correlation, own), 1).mean()),
        "n": n,
    }


def write_predictions(run: Path, predicted: Floats, image_rows: Rows) -> None:
    """Write `RUN/cross_validated.npz`: `prediction` (N, ...) and `image_rows` (N,)."""
    buffer = io.BytesIO()
    np.savez(buffer, prediction=predicted, image_rows=image_rows)
    write_bytes(run / FILE, buffer.getvalue())


def _centred(values: Floats) -> Floats:
    return np.asarray(values - values.mean(axis=1, keepdims=True))
