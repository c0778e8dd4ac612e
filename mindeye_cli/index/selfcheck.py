"""The build measures its own recall and searches further until it is enough.

Two kinds of queries: rows that did not train the centroids, each left out of its own results; and
the same rows with an error as brain predictions have, half of it along differences of rows (on the
collection's manifold), half in any direction. A user's own vectors make a third kind.

This happens in the command's process: the parts that are checked are two million rows at most.

Shapes: `q` queries, `D` width, `k` results.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from mindeye_cli.core.neighbours.collection import Collection, Floats, Ints
from mindeye_cli.core.neighbours.search import Opened, Setting, nearest
from mindeye_cli.core.sampler import rng
from mindeye_cli.index.sample import held_out, trained_names

logger = logging.getLogger("mindeye")

SIZES = (16, 300)
# The 300 nearest are wanted to find 16 pictures that still exist, so a few may be missed.
LOOSER = {16: 0.0, 300: 0.05}
QUERIES = 256
OFF_MANIFOLD_COSINE = 0.8
FIRST_LISTS, FIRST_CANDIDATES = 4, 4  # candidates a result
MOST_CANDIDATES = 16384
# Scoring one candidate from its shard takes as long as comparing so many codes.
CODES_A_CANDIDATE = 40
# The truth is an exact scan, so it is found in some parts alone once there are many.
CHECK_ROWS = 2_000_000


@dataclass(frozen=True, slots=True)
class Asked:
    """One kind of queries (q, D), and the position that each must not find (-1: none)."""

    queries: Floats
    own: Ints


@dataclass(frozen=True, slots=True)
class Recall:
    """Mean over queries, and that less two standard errors."""

    mean: float
    low: float


Measured = tuple[Setting, dict[str, Recall]]


def check_queries(opened: Opened, own: Floats | None) -> dict[str, Asked]:
    """Draw the queries: a function of the index' seed and shards.

    Parameters
    ----------
    opened : Opened
    own : float32 array (q, D) or None
        The user's vectors at length 1.
    """
    plan, record = opened.manifest.plan, opened.coder.record
    trained = trained_names(record["shards"], plan.lists, record["seed"])
    positions = held_out(opened.collection, QUERIES, trained, plan.seed)
    rows: Floats = opened.collection.gather(positions).numpy()
    asked = {
        "held_out": Asked(rows, positions),
        "off_manifold": Asked(off_manifold(opened.collection, rows, plan.seed), positions * 0 - 1),
    }
    if own is not None:
        asked["given"] = Asked(own, np.full(len(own), -1, np.int64))
    return asked


def off_manifold(collection: Collection, rows: Floats, seed: int) -> Floats:
    """Rows with an error that leaves them at cosine 0.8 to themselves, float32 (q, D)."""
    draw = rng(seed, "index", "off-manifold")
    pairs = draw.integers(len(collection), size=(2, len(rows)))
    along = (collection.gather(pairs[0]) - collection.gather(pairs[1])).numpy()
    anywhere = draw.standard_normal(rows.shape).astype(np.float32)
    error = _unit(_across(along, rows)) + _unit(_across(anywhere, rows))
    slope = np.sqrt(1 / OFF_MANIFOLD_COSINE**2 - 1)
    return _unit(rows + slope * _unit(error))


def checked_parts(opened: Opened) -> list[int]:
    """Parts of two million rows or more, drawn from all; every part where there are fewer."""
    count = len(opened.places)
    order = rng(opened.manifest.plan.seed, "index", "check parts").permutation(count)
    sizes = np.array([opened.span(int(part)).stop - opened.span(int(part)).start for part in order])
    enough = int(np.searchsorted(np.cumsum(sizes), CHECK_ROWS)) + 1
    return sorted(int(part) for part in order[:enough])


def tune(
    opened: Opened, recall: float, own: Floats | None
) -> tuple[dict[str, Setting], dict[str, object]]:
    """Find settings that reach the recall for 16 and for 300 results.

    Parameters
    ----------
    opened : Opened
        Of kind `ivf`.
    recall : float
        Wanted of the 16 nearest.
    own : float32 array (q, D) or None

    Returns
    -------
    dict of Setting
        By number of results.
    dict
        `reached`, and for every number of results its target, and by kind of query the recall
        and its lower bound.
    """
    asked = check_queries(opened, own)
    parts = checked_parts(opened)
    seen = sum(opened.span(part).stop - opened.span(part).start for part in parts)
    settings: dict[str, Setting] = {}
    facts: dict[str, object] = {"rows": seen, "queries": {n: len(a.own) for n, a in asked.items()}}
    reached = True
    for k in SIZES:
        k = min(k, seen - 1)
        truth = {
            name: nearest(opened, a.queries, k + 1, exact=True, parts=parts)[1]
            for name, a in asked.items()
        }
        target = recall - LOOSER.get(k, 0.0)
        setting, found = _search_further(opened, asked, truth, k, target, parts)
        reached &= min(entry.low for entry in found.values()) >= target
        settings[str(k)] = setting
        facts[f"recall_at_{k}"] = {
            "target": target,
            **{name: asdict(entry) for name, entry in found.items()},
        }
    return settings, {"reached": reached, **facts}


def _search_further(
    opened: Opened,
    asked: Mapping[str, Asked],
    truth: Mapping[str, Ints],
    k: int,
    target: float,
    parts: Sequence[int],
) -> Measured:
    """Double the lists or the candidates, whichever gains more, until the target is reached.

    Then take a quarter of either back, as long as the target holds.
    """
    plan, rows = opened.manifest.plan, len(opened.collection)
    most = min(rows, MOST_CANDIDATES)

    def measure(lists: int, candidates: int) -> Measured:
        setting = Setting(lists=min(lists, plan.lists), candidates=min(candidates, most))
        found = {
            name: _recall(opened, a, truth[name], k, setting, parts) for name, a in asked.items()
        }
        _log(k, setting, found)
        return setting, found

    def cheapest(steps: list[Measured]) -> Measured | None:
        enough = [step for step in steps if _worst(step) >= target]
        return min(enough, key=lambda step: _cost(step[0], rows / plan.lists), default=None)

    now = measure(FIRST_LISTS, FIRST_CANDIDATES * k)
    found = cheapest([now])
    while found is None:
        steps = []
        if now[0].lists < plan.lists:
            steps.append(measure(2 * now[0].lists, now[0].candidates))
        if now[0].candidates < most:
            steps.append(measure(now[0].lists, 2 * now[0].candidates))
        if not steps:
            return now
        found = cheapest(steps)
        now = max(steps, key=_worst)
    step: Measured | None = found
    while step is not None:
        found, (lists, candidates) = step, (step[0].lists, step[0].candidates)
        fewer = [(max(1, lists * 3 // 4), candidates), (lists, max(k, candidates * 3 // 4))]
        step = cheapest([measure(*pair) for pair in fewer if pair != (lists, candidates)])
    return found


def _log(k: int, setting: Setting, found: Mapping[str, Recall]) -> None:
    logger.info(
        "%d nearest, %d lists, %d candidates: recall %s",
        k,
        setting.lists,
        setting.candidates,
        ", ".join(f"{name} {entry.mean:.3f}" for name, entry in found.items()),
    )


def _cost(setting: Setting, rows_a_list: float) -> float:
    """What a query costs, in codes that are compared."""
    return setting.lists * rows_a_list + CODES_A_CANDIDATE * setting.candidates


def _worst(measured: Measured) -> float:
    return min(entry.low for entry in measured[1].values())


def _recall(
    opened: Opened,
    asked: Asked,
    truth: Ints,
    k: int,
    setting: Setting,
    parts: Sequence[int],
) -> Recall:
    """Share of the true k nearest that are found, each query's own row left out of both."""
    found = nearest(opened, asked.queries, k + 1, setting=setting, parts=parts)[1]
    shares = np.array(
        [
            len(np.intersect1d(_without(a, own, k), _without(b, own, k))) / k
            for a, b, own in zip(truth, found, asked.own, strict=True)
        ]
    )
    error = shares.std() / np.sqrt(len(shares))
    return Recall(float(shares.mean()), float(shares.mean() - 2 * error))


def _without(positions: Ints, own: int, k: int) -> Ints:
    kept = positions[(positions != own) & (positions >= 0)]
    return kept[:k]


def _across(vectors: Floats, rows: Floats) -> Floats:
    """What of the vectors is perpendicular to the rows."""
    return vectors - (vectors * rows).sum(axis=1, keepdims=True) * rows


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
