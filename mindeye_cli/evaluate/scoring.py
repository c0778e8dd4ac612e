"""One metric's line of the score sheet: value, interval, controls, per-image values, card.

Shapes: `n` entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from mindeye_cli.core import stats
from mindeye_cli.evaluate.metrics import Metric, Scores
from mindeye_cli.evaluate.pictures import Pictures

# Names that every metric's controls have of themselves.
RESERVED = ("chance", "permuted", "stimulus")


def score(
    metric: Metric,
    stimuli: Pictures,
    recons: Pictures,
    controls: Mapping[str, Pictures],
    seed: int,
) -> dict[str, Any]:
    """Score one set of reconstructions by one metric.

    Parameters
    ----------
    metric : Metric
    stimuli, recons : Pictures
        Entry by entry.
    controls : mapping of name to Pictures
        What stands beside it, of the same images.
    seed : int
        Of the resamples and permutations; the same for every metric, so that they are paired.

    Returns
    -------
    dict
        `value`, `ci95`, `n`, `undefined`, `direction`, `unit`, `controls`, `per_image`, `card`.
    """
    found = metric.compute(stimuli, recons, True)
    line = _summary(found, stimuli, seed)
    beside: dict[str, Any] = {"chance": {"value": metric.chance}}
    if found.cross is not None:
        higher = metric.direction == "higher"
        means = stats.defined_means(stats.permuted_entries(found.cross, seed))
        permuted = asdict(stats.summarise(means, line["value"], higher=higher))
        beside["permuted"] = {"value": permuted["mean"], **permuted}
    if metric.on_stimuli:
        beside["stimulus"] = _summary(metric.compute(stimuli, stimuli, False), stimuli, seed)
    for name, pictures in controls.items():
        beside[name] = _summary(metric.compute(stimuli, pictures, False), stimuli, seed)
    return {
        **line,
        "direction": metric.direction,
        "unit": metric.unit,
        "controls": beside,
        "per_image": found.per_entry.tolist(),
        "card": dict(metric.card),
    }


def _summary(found: Scores, stimuli: Pictures, seed: int) -> dict[str, Any]:
    """Mean, interval and counts of per-entry values."""
    groups = stimuli.groups
    defined = np.isfinite(found.per_entry)
    if found.wins is None:
        ci95 = stats.mean_interval(found.per_entry, groups, seed)
    else:
        ci95 = stats.pair_interval(found.wins, groups, seed)
    return {
        "value": float(found.per_entry[defined].mean()) if defined.any() else float("nan"),
        "ci95": ci95,
        "n": int(defined.sum()),
        "undefined": int((~defined).sum()),
    }
