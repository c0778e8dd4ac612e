"""Was the published candidate chosen by its likeness to the truth?

A brain can be asked which candidate it likes best; the true image cannot, outside a test set. Where
the candidates are there, the published one is compared with the one nearest to the stimulus, metric
by metric. Choosing by the brain finds that one more often than chance, as it should, but seldom
nearly always. Without candidates nothing can be said: a folder of best-of-16 pictures looks like
any other. Nor does a choice by a metric that is not among those computed show fully.

Shapes: `N` images with candidates, `K` candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.core import stats
from mindeye_cli.core.sampler import rng
from mindeye_cli.evaluate.metrics import METRICS
from mindeye_cli.evaluate.pictures import Pictures, picture_files, read_pictures
from mindeye_cli.evaluate.sources import Folder

# Images looked at: all candidates are scored, so more would cost more than they tell.
MOST_IMAGES = 64
LEAST_IMAGES = 8
# The interval of how often the best candidate was published must lie above this.
SUSPECT = 0.75


def picked_warnings(
    folder: Folder, stimuli: Pictures, recons: Pictures, metrics: Sequence[str], seed: int
) -> list[dict[str, str]]:
    """Warn of candidates chosen by the ground truth.

    Parameters
    ----------
    folder : Folder
    stimuli, recons : Pictures
        Entry by entry.
    metrics : sequence of str
        Those that were computed.
    seed : int
        Of the images that are looked at.

    Returns
    -------
    list of dict
        `code` and `message`; empty where nothing is wrong or nothing can be told.
    """
    found = [] if folder.manifest is None else _recorded(folder.manifest)
    chosen = _published(folder, recons, seed)
    if chosen is None:
        return found
    rows, picks, candidates = chosen
    scores = {
        name: _scores(name, _take(stimuli, rows), candidates)
        for name in metrics
        if METRICS[name].least <= 2
    }
    for name, table in scores.items():
        share, low = _agreement(table, picks, rows, stimuli)
        if low > SUSPECT:
            found.append(
                {
                    "code": "picked-by-ground-truth",
                    "message": f"of {table.shape[1]} candidates the published one is the nearest to"
                    f" the stimulus by {name} for {share:.0%} of {len(rows)} images: probably"
                    " chosen by the ground truth",
                }
            )
            break
    return found


def _recorded(manifest: dict[str, Any]) -> list[dict[str, str]]:
    """What a manifest itself says of the choice."""
    by = str(manifest.get("chosen_by", "brain")).lower().replace("_", " ")
    if any(word in by for word in ("truth", "target", "stimulus", "true image")):
        message = f"the manifest says that candidates were chosen by {by}"
        return [{"code": "picked-by-ground-truth", "message": message}]
    others = [
        line["name"]
        for line in manifest["images"]
        if line.get("scores") and "chosen" in line
        if line["scores"][line["chosen"]] < max(line["scores"])
    ]
    if not others:
        return []
    message = (
        f"{len(others)} pictures are not the candidates that the brain's scores in the manifest"
        f" choose, first {others[0]!r}"
    )
    return [{"code": "picked-otherwise", "message": message}]


def _published(
    folder: Folder, recons: Pictures, seed: int
) -> tuple[stats.Ints, stats.Ints, list[Pictures]] | None:
    """Entries with candidates, which of them was published, and the candidates, one set each k."""
    rows, picks, found = list[int](), list[int](), list[np.ndarray[Any, Any]]()
    names = list(enumerate(folder.names))
    draw = rng(seed, "picked", len(names)).permutation(len(names))
    for row, name in (names[k] for k in draw):
        inner = folder.path / "candidates" / name
        files = _candidate_files(inner)
        if len(files) < 2 or (found and len(files) != len(found[0])):
            continue
        pictures = read_pictures(files)
        own = recons.pixels[row]
        same = [k for k, picture in enumerate(pictures) if np.array_equal(picture, own)]
        if len(same) == 1:
            rows.append(row)
            picks.append(same[0])
            found.append(pictures)
        if len(rows) == MOST_IMAGES:
            break
    if len(rows) < LEAST_IMAGES:
        return None
    ids = tuple(recons.ids[row] for row in rows)
    table = np.stack(found)
    sets = [Pictures(ids=ids, pixels=table[:, k]) for k in range(table.shape[1])]
    return np.array(rows, dtype=np.int64), np.array(picks, dtype=np.int64), sets


def _candidate_files(folder: Path) -> list[Path]:
    return list(picture_files(folder).values()) if folder.is_dir() else []


def _scores(name: str, stimuli: Pictures, candidates: list[Pictures]) -> stats.Floats:
    """Score of every candidate, higher is better, float64 (N, K)."""
    metric = METRICS[name]
    sign = 1.0 if metric.direction == "higher" else -1.0
    columns = [metric.compute(stimuli, pictures, False).per_entry for pictures in candidates]
    return np.asarray(sign * np.stack(columns, axis=1))


def _agreement(
    table: stats.Floats, picks: stats.Ints, rows: stats.Ints, stimuli: Pictures
) -> tuple[float, float]:
    """Share of images whose published candidate is the best, ties shared, and its lower limit."""
    usable = np.isfinite(table).all(axis=1)
    if usable.sum() < LEAST_IMAGES:
        return 0.0, 0.0
    table, picks = table[usable], picks[usable]
    best = table == table.max(axis=1, keepdims=True)
    share = best[np.arange(len(picks)), picks] / best.sum(axis=1)
    groups = np.unique(stimuli.groups[rows[usable]], return_inverse=True)[1].astype(np.int64)
    low, _ = stats.mean_interval(share, groups, 0, stats.SHARE)
    return float(share.mean()), low


def _take(pictures: Pictures, rows: stats.Ints) -> Pictures:
    records = pictures.records
    return Pictures(
        ids=tuple(pictures.ids[row] for row in rows),
        pixels=pictures.pixels[rows],
        records=None if records is None else tuple(records[row] for row in rows),
    )
