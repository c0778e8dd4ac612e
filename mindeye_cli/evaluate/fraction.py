"""The share of the way from the generator alone to the generator's ceiling.

(score - prior only) / (ceiling - prior only): 0 is what the generator makes of a mean brain, 1 what
it makes of the true embedding (after BrainBits, Mayo et al. 2024). It is not capped.

Shapes: `G` distinct images, `D` resamples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mindeye_cli.core import stats

PRIOR, CEILING = "prior-only", "ceiling"
# The way must be at least this long, in its own standard errors, for a share of it to mean much.
LEAST_ERRORS = 3.0


def fraction(
    units: Mapping[str, stats.Floats], seed: int, *, higher: bool
) -> dict[str, Any] | None:
    """Fraction of one metric, with its interval over images.

    Parameters
    ----------
    units : mapping of name to float64 array (G,)
        What images contribute to the score (name "") and to the controls.
    seed : int
        The same images are drawn for all three.
    higher : bool

    Returns
    -------
    dict or None
        `value`, `ci95`; without one of the two controls None; where the ceiling is not clearly
        better than the prior alone `value` is NaN, with a `note`.
    """
    if PRIOR not in units or CEILING not in units:
        return None
    rows = np.stack([units[""], units[PRIOR], units[CEILING]])
    rows = rows[:, np.isfinite(rows).all(axis=0)] * (1 if higher else -1)
    images = rows.shape[1]
    nothing = float("nan")
    empty = {"value": nothing, "ci95": (nothing, nothing)}
    if images < 2:
        return {**empty, "note": "fewer than two images have all three scores"}
    way = rows[2] - rows[1]
    error = way.std(ddof=1) / np.sqrt(images)
    if way.mean() <= LEAST_ERRORS * error or way.mean() <= stats.ROUNDING:
        return {**empty, "note": "the ceiling is not clearly above the prior alone"}
    weights = stats.image_weights(np.arange(images, dtype=np.int64), seed)
    score, prior, ceiling = (rows @ weights.T) / images
    share = (score - prior) / np.where(ceiling > prior, ceiling - prior, np.nan)
    value = float((rows[0] - rows[1]).mean() / way.mean())
    return {"value": value, "ci95": stats.interval(share, images)}
