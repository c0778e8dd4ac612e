"""Which evaluations can be compared, and their order.

Systems are ranked only among those that reconstructed the same images against the same stimuli.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from mindeye_cli.report.findings import Evaluation


def comparable(evaluations: Sequence[Evaluation]) -> list[list[Evaluation]]:
    """Evaluations of the same images in groups, larger groups first."""
    groups: dict[Any, list[Evaluation]] = {}
    for item in evaluations:
        stimuli = item.scores.get("inputs", {}).get("stimuli")
        key = (stimuli, tuple(sorted(item.scores["ids"])))
        groups.setdefault(key, []).append(item)
    return sorted(groups.values(), key=len, reverse=True)


def subject(item: Evaluation) -> str:
    """Whose brain it is; empty for other people's pictures."""
    return str((item.manifest or {}).get("subject") or "")


def system(item: Evaluation) -> str:
    """The name of what made it: the folder's, without the part that names the subject."""
    parts = [part for part in item.name.split("/") if part != subject(item)]
    return "/".join(parts) or item.name


def ranking(group: Sequence[Evaluation]) -> list[tuple[Evaluation, float]]:
    """Evaluations with the mean rank of their system, best first.

    Returns
    -------
    list of (evaluation, mean rank)
        Infinite where there is no common metric.
    """
    common = ranked_by(group)
    ranks: dict[str, list[float]] = {system(item): [] for item in group}
    for one in dict.fromkeys(subject(item) for item in group):
        mine = [item for item in group if subject(item) == one]
        for name in common:
            lines = [item.scores["metrics"][name] for item in mine]
            sign = -1.0 if lines[0]["direction"] == "higher" else 1.0
            places = rankdata([sign * line["value"] for line in lines])
            for item, place in zip(mine, places, strict=True):
                ranks[system(item)].append(float(place))
    mean = {name: float(np.mean(r)) if r else math.inf for name, r in ranks.items()}
    order = sorted(group, key=lambda item: (mean[system(item)], system(item), subject(item)))
    return [(item, mean[system(item)]) for item in order]


def ranked_by(group: Sequence[Evaluation]) -> list[str]:
    """Metrics that all evaluations have on the same pictures.

    Constant pictures have no correlation; the mean over the others says nothing of a system that
    drew many of them.
    """
    first = group[0]
    return [
        name
        for name in first.scores["metrics"]
        if _defined(first, name) and len({_defined(item, name) for item in group}) == 1
    ]


def _defined(item: Evaluation, name: str) -> tuple[str, ...]:
    """Ids of the pictures for which a metric is defined, each as often as it is."""
    line = item.scores["metrics"].get(name, {})
    if line.get("value") is None:
        return ()
    each = zip(item.scores["ids"], line["per_image"], strict=True)
    return tuple(sorted(key for key, value in each if value is not None))
