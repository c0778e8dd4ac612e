"""One metric's line of the score sheet: value, interval, controls, per-image values, card.

Shapes: `n` entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from mindeye_cli.core import stats
from mindeye_cli.core.shares import pseudo_values
from mindeye_cli.evaluate.alignment import Alignment
from mindeye_cli.evaluate.fraction import fraction
from mindeye_cli.evaluate.metrics import Metric, Scores
from mindeye_cli.evaluate.metrics.identification import d_prime
from mindeye_cli.evaluate.pictures import Pictures

# Names that every metric's controls have of themselves.
RESERVED = ("chance", "permuted", "stimulus")
# Scores of these units cannot leave these limits, so neither do their intervals.
BOUNDS = {"share": stats.SHARE, "Pearson r": (-1.0, 1.0), "SSIM": (-1.0, 1.0)}
BOUNDS |= {"1 - r": (0.0, 2.0), "NMI": (1.0, 2.0)}


def score(
    metric: Metric,
    stimuli: Pictures,
    recons: Pictures,
    controls: Mapping[str, Pictures],
    seed: int,
    alignment: Alignment | None = None,
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
    alignment : Alignment, optional
        Is shown the scores of all pairs, to find pictures that stand beside the wrong stimuli.

    Returns
    -------
    dict
        `value`, `ci95`, `n`, `undefined`, `direction`, `unit`, `controls`, `fraction`, `per_image`,
        `card`; for scores of pairs also `pseudo_values`, one an image (`core/shares.py`), and
        `d_prime` where two stimuli are compared.
    """
    found = metric.compute(stimuli, recons, True)
    line = _summary(metric, found, stimuli, seed)
    if metric.chance == 0.5 and found.wins is not None:
        line["d_prime"] = _d_prime(found, line)
    units = {"": per_image(found, stimuli)}
    beside: dict[str, Any] = {"chance": {"value": metric.chance}}
    higher = metric.direction == "higher"
    if found.cross is not None and stimuli.groups.max() > 0:  # one image has no other pairing
        means = stats.defined_means(stats.permuted_entries(found.cross, seed))
        permuted = asdict(stats.summarise(means, line["value"], higher=higher))
        beside["permuted"] = {"value": permuted["mean"], **permuted}
        if alignment is not None:
            alignment.add(metric.name, found.cross, stimuli.groups, higher=higher)
    if metric.on_stimuli:
        true = metric.compute(stimuli, stimuli, False)
        beside["stimulus"] = _summary(metric, true, stimuli, seed)
    for name, pictures in controls.items():
        other = metric.compute(stimuli, pictures, False)
        beside[name] = _summary(metric, other, stimuli, seed)
        units[name] = per_image(other, stimuli)
    pairs = {} if found.wins is None else {"pseudo_values": units[""].tolist()}
    return {
        **line,
        "direction": metric.direction,
        "unit": metric.unit,
        "controls": beside,
        "fraction": fraction(units, seed, higher=higher),
        "per_image": found.per_entry.tolist(),
        **pairs,
        "card": {**facts(metric, stimuli), "n": line["n"], "protocol": stimuli.protocol},
    }


def facts(metric: Metric, stimuli: Pictures) -> dict[str, Any]:
    """How a metric is computed; a MissingResource where its network is not there."""
    own = {} if metric.facts is None else dict(metric.facts(stimuli))
    return {**own, **metric.card}


def _d_prime(found: Scores, line: Mapping[str, Any]) -> dict[str, Any]:
    """Sensitivity of a two-way choice and its interval, from the share's."""
    pairs = int(np.isfinite(found.wins).sum()) if found.wins is not None else 0
    low, high = (d_prime(limit, pairs) for limit in line["ci95"])
    return {"value": d_prime(line["value"], pairs), "ci95": (low, high)}


def per_image(found: Scores, stimuli: Pictures) -> stats.Floats:
    """What images contribute to a score, float64 (G,); the mean over images is the score.

    Pseudo-values of a score of pairs; else the mean over an image's entries, NaN where none is
    defined.
    """
    groups = stimuli.groups
    if found.wins is not None:
        return pseudo_values(found.wins, groups)
    return image_means(found.per_entry, groups)


def image_means(values: stats.Floats, groups: stats.Ints) -> stats.Floats:
    """Mean over the defined entries of each image, float64 (G,); NaN where there is none."""
    images = int(groups.max()) + 1
    defined = np.isfinite(values)
    totals = np.bincount(groups, weights=np.where(defined, values, 0.0), minlength=images)
    counts = np.bincount(groups, weights=defined.astype(np.float64), minlength=images)
    with np.errstate(invalid="ignore"):
        return np.asarray(totals / counts)


def _summary(metric: Metric, found: Scores, stimuli: Pictures, seed: int) -> dict[str, Any]:
    """Mean, interval and counts of per-entry values."""
    groups = stimuli.groups
    defined = np.isfinite(found.per_entry)
    if found.wins is None:
        ci95 = stats.mean_interval(found.per_entry, groups, seed, BOUNDS.get(metric.unit))
    else:
        ci95 = stats.pair_interval(found.wins, groups)
    return {
        "value": float(found.per_entry[defined].mean()) if defined.any() else float("nan"),
        "ci95": ci95,
        "n": int(defined.sum()),
        "undefined": int((~defined).sum()),
    }
