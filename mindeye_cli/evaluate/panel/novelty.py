"""How near test images and reconstructions are to training images.

Likeness is the cosine of two images' targets in one SPACE of the store, tokens averaged.

Shapes: `n` entries, `N` training images, `D` width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mindeye_cli.core import stats
from mindeye_cli.evaluate.metrics import METRICS
from mindeye_cli.evaluate.scoring import BOUNDS

QUARTERS = 4


def nearest(points: stats.Floats, training: stats.Floats) -> stats.Floats:
    """Cosine of each unit row (n, D) with the nearest training one (N, D), float64 (n,)."""
    best = np.full(len(points), -np.inf)
    for start in range(0, len(training), 4096):
        best = np.maximum(best, (points @ training[start : start + 4096].T).max(axis=1))
    return best


def quartiles(
    likeness: stats.Floats, groups: stats.Ints, lines: Mapping[str, Any], seed: int
) -> list[dict[str, Any]]:
    """Every metric's score by quartile of likeness to the nearest training image.

    Parameters
    ----------
    likeness : float64 array (n,)
        Of each entry's stimulus.
    groups : int64 array (n,)
    lines : mapping of metric to its line of the score sheet
    seed : int

    Returns
    -------
    list of dict
        `quartile` (1 is nearest to training), `low` and `high` of the likeness, `images`,
        `metrics` (name to `value`, `ci95`, `n`). Scores of pairs keep all images as distractors.
    """
    of_image = np.zeros(int(groups.max()) + 1)
    of_image[groups] = likeness
    ranks = np.argsort(np.argsort(-of_image, kind="stable"), kind="stable")
    quarter = (ranks * QUARTERS // len(of_image))[groups]
    found = []
    for number in range(QUARTERS):
        part = quarter == number
        if part.any():
            found.append(
                {
                    "quartile": number + 1,
                    "low": float(likeness[part].min()),
                    "high": float(likeness[part].max()),
                    "images": len(np.unique(groups[part])),
                    "metrics": subset(part, groups, lines, seed),
                }
            )
    return found


def subset(
    part: Any, groups: stats.Ints, lines: Mapping[str, Any], seed: int
) -> dict[str, dict[str, Any]]:
    """Scores of some entries; `part` is bool (n,)."""
    found = {}
    for name, line in lines.items():
        values = np.asarray(line["per_image"], dtype=np.float64)[part]
        bounds = BOUNDS.get(METRICS[name].unit)
        known = np.isfinite(values)
        found[name] = {
            "value": float(values[known].mean()) if known.any() else float("nan"),
            "ci95": stats.mean_interval(values, groups[part], seed, bounds),
            "n": int(known.sum()),
        }
    return found


def copy_rate(
    embed: Callable[[Any], stats.Floats],
    pictures: Mapping[str, Any],
    true: stats.Floats,
    training: stats.Floats,
    groups: stats.Ints,
) -> dict[str, Any]:
    """How often a reconstruction is nearer to a training image than to its own stimulus.

    Parameters
    ----------
    embed : callable
        Pictures to unit rows (n, D) of the SPACE.
    pictures : mapping of name to Pictures
        The reconstructions (name "") and the controls.
    true, training : float64 arrays (n, D), (N, D)
    groups : int64 array (n,)

    Returns
    -------
    dict
        `value`, `ci95`, `n`, and `controls` with the same of each control.
    """
    rates = {}
    for name, shown in pictures.items():
        points = embed(shown)
        copied = (nearest(points, training) > (points * true).sum(axis=1)).astype(np.float64)
        rates[name] = {
            "value": float(copied.mean()),
            "ci95": stats.mean_interval(copied, groups, 0, stats.SHARE),
            "n": len(copied),
        }
    return {**rates.pop(""), "controls": rates}
