"""Tables of models that were trained on the same seeds: means, intervals, paired differences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import mean, stdev

from scipy.stats import t as student_t

Scores = dict[str, float]


def shown(values: Sequence[float]) -> str:
    """Mean and half-width of its 95 % interval over the seeds (Student's t)."""
    if len(values) < 2:
        return f"{mean(values):.3f}"
    half = student_t.ppf(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return f"{mean(values):.3f} ± {half:.3f}"


def table(found: Mapping[str, Sequence[Scores]], titles: Sequence[str]) -> str:
    """Means of every model, one row a model; a score that it lacks is left blank."""
    lines = ["| model | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for name, seeds in found.items():
        cells = [shown([one[t] for one in seeds]) if t in seeds[0] else "" for t in titles]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def differences(
    found: Mapping[str, Sequence[Scores]],
    pairs: Sequence[tuple[str, str]],
    titles: Sequence[str],
) -> str:
    """Differences within a seed, one row a pair of models, with every seed's own in brackets."""
    lines = ["| difference | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for ours, other in pairs:
        if ours not in found or other not in found:
            continue
        cells = []
        for title in titles:
            both = zip(found[ours], found[other], strict=True)
            gaps = [a[title] - b[title] for a, b in both]
            cells.append(f"{shown(gaps)} ({' '.join(f'{gap:+.3f}' for gap in gaps)})")
        lines.append(f"| {ours} - {other} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
