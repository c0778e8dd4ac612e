"""Nearest neighbours in a finished index: candidates from codes or a scan, scores from the shards.

Shapes: `q` queries, `N` rows of the collection, `D` width, `k` results, `R` candidates.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from mindeye_cli.core.neighbours.cluster import Run, embedded
from mindeye_cli.core.neighbours.coder import Coder, Lists, load_coder
from mindeye_cli.core.neighbours.collection import Collection, Floats, Ints
from mindeye_cli.core.neighbours.exact import Mask, best, scan
from mindeye_cli.core.neighbours.manifest import INDEX, LISTS, PARTS, SHARED, read_manifest
from mindeye_cli.core.neighbours.stack import Stack
from mindeye_cli.core.neighbours.truth import MARGIN, Doubles, rank, rescore
from mindeye_cli.core.threads import apply_threads
from mindeye_store.errors import InvalidInput

logger = logging.getLogger("mindeye")

OPENED = 4  # indexes that a process keeps open
# A filter that leaves no more rows than this is answered by an exact scan of those rows.
FILTERED_EXACT_ROWS = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How far inverted lists are searched: lists probed, and candidates scored from the shards."""

    lists: int
    candidates: int


@dataclass(frozen=True, slots=True)
class Source:
    """What names an index to a worker: its folder, the folder of shards, and the record."""

    index: Path
    root: Path
    record: str = INDEX


class Opened:
    """A finished index, opened; made by `open_index`."""

    def __init__(self, source: Source) -> None:
        self.source, self.index, self.root = source, source.index, source.root
        self.manifest = manifest = read_manifest(source.index, source.record)
        self.collection = Collection(self.root, manifest.shards, manifest.plan.normalised)
        counts = np.cumsum([0, *(len(part.shards) for part in manifest.parts)])
        self.places = [range(a, b) for a, b in zip(counts[:-1], counts[1:], strict=True)]
        self._lists: dict[int, Lists] = {}

    @cached_property
    def coder(self) -> Coder:
        """The shared centroids."""
        coder = load_coder(self.index / SHARED)
        for part in self.manifest.parts:
            if part.shared != coder.fingerprint:
                raise InvalidInput(
                    "the part was built with other centroids",
                    where=str(self.index / PARTS / part.name),
                    fix="index the shards again with --overwrite",
                )
        return coder

    def lists(self, part: int) -> Lists:
        """One part's inverted lists."""
        if part not in self._lists:
            file = self.index / PARTS / self.manifest.parts[part].name / LISTS
            self._lists[part] = self.coder.open_lists(file)
        return self._lists[part]

    @cached_property
    def stack(self) -> Stack:
        """All parts' inverted lists as one."""
        parts = [self.lists(part) for part in range(len(self.places))]
        file = self.index / PARTS / self.manifest.parts[0].name / LISTS
        starts = [self.span(part).start for part in range(len(parts))]
        return Stack(parts, self.coder.open_lists(file), np.array(starts, np.int64))

    def span(self, part: int) -> slice:
        """The positions of one part's rows."""
        places, starts = self.places[part], self.collection.starts
        return slice(int(starts[places.start]), int(starts[places.stop]))

    def setting(self, k: int) -> Setting:
        """What the build found to reach its recall for k results."""
        tuned = sorted((int(name), value) for name, value in self.manifest.settings.items())
        size, chosen = next((entry for entry in tuned if entry[0] >= k), tuned[-1])
        # Beyond the largest that was measured, candidates grow with k.
        factor = max(1.0, k / size)
        return Setting(lists=chosen["lists"], candidates=round(chosen["candidates"] * factor))


def open_index(index: Path, root: Path | None = None, record: str = INDEX) -> Opened:
    """Open a finished index.

    Parameters
    ----------
    index : Path
    root : Path, optional
        The folder of shards, where it is another than at the build.
    record : str
        Another record than that of the finished index.

    Raises
    ------
    MissingResource
        The index or a shard is absent.
    InvalidInput
        A record is damaged, or a shard has changed.
    """
    home = root or Path(read_manifest(index, record).root)
    return open_source(Source(index.resolve(), home.resolve(), record))


def refuse_other_space(opened: Opened, space: str) -> None:
    """Refuse queries of another SPACE than the index tells; one that tells none is warned of.

    Raises
    ------
    InvalidInput
        The index holds another SPACE.
    """
    held = opened.manifest.plan.space
    if held is None:
        logger.warning("the index does not tell its SPACE: only the width of vectors is compared")
    elif held != space:
        raise InvalidInput(
            f"the index holds {held}, the run predicts {space}",
            where=str(opened.index),
            fix=f"give a run of {held}",
        )


def open_source(source: Source) -> Opened:
    """Open what `open_index` opened, here or on a worker; a process keeps the last ones open."""
    file = source.index / source.record
    return _opened(source, file.stat().st_mtime_ns if file.is_file() else 0)


@lru_cache(maxsize=OPENED)
def _opened(source: Source, stamp: int) -> Opened:
    opened = Opened(source)
    opened.collection.refuse_changed()
    return opened


def nearest(
    opened: Opened,
    queries: Floats,
    k: int,
    *,
    exact: bool = False,
    mask: Mask | None = None,
    setting: Setting | None = None,
    parts: Sequence[int] | None = None,
    run: Run = embedded,
) -> tuple[Doubles, Ints]:
    """The k nearest rows of every query.

    Parameters
    ----------
    opened : Opened
    queries : float32 array (q, D)
        At length 1.
    k : int
    exact : bool
        Compare with every row, whatever codes there are.
    mask : bool array (N,), optional
        Rows that may be found.
    setting : Setting, optional
        By default the one that the build found for k.
    parts : sequence of int, optional
        Only these parts.
    run : Run
        This process, or a cluster.

    Returns
    -------
    scores : float64 array (q, k)
        True cosines, descending; -inf where there are fewer rows.
    positions : int64 array (q, k)
        -1 where there is none.
    """
    apply_threads()
    rows = len(opened.collection) if mask is None else int(mask.sum())
    few = mask is not None and rows <= FILTERED_EXACT_ROWS
    chosen = range(len(opened.places)) if parts is None else parts
    if exact or few or opened.manifest.plan.kind == "exact":
        rough = _scanned(opened, queries, k + MARGIN, mask, chosen, run)
    else:
        setting = setting or opened.setting(k)
        rough = _probed(opened, queries, k + MARGIN, mask, setting, chosen, run)
    return rank(opened.collection, queries, rough, k)


def _scanned(
    opened: Opened, queries: Floats, k: int, mask: Mask | None, parts: Sequence[int], run: Run
) -> Ints:
    """Positions (q, k) of the best rows in float32."""
    if run is embedded:
        places = [place for part in parts for place in opened.places[part]]
        return scan(opened.collection, queries, k, places, mask)[1]
    tasks = [(opened.source, p, queries, k, _slice(opened, p, mask)) for p in parts]
    found = list(run(scan_part, tasks))
    scores = np.concatenate([s for s, _ in found], axis=1)
    return best(scores, np.concatenate([p for _, p in found], axis=1), k)[1]


def _probed(
    opened: Opened,
    queries: Floats,
    k: int,
    mask: Mask | None,
    setting: Setting,
    parts: Sequence[int],
    run: Run,
) -> Ints:
    """Positions (q, k) of the best candidates, scored from the shards in float32."""
    count = max(setting.candidates, k)
    rotated = opened.coder.rotate(queries)
    lists, distances = opened.coder.near_lists(rotated, setting.lists)
    if run is embedded and mask is None and 1 < len(parts) == len(opened.places):
        positions = opened.stack.search(rotated, lists, distances, count)[1]
    else:
        tasks = [
            (opened.source, p, rotated, lists, distances, count, _slice(opened, p, mask))
            for p in parts
        ]
        found = list(run(probe_part, tasks))
        codes = -np.concatenate([d for d, _ in found], axis=1)
        positions = best(codes, np.concatenate([p for _, p in found], axis=1), count)[1]
    scores = rescore(opened.collection, queries, positions)
    return best(scores, positions, k)[1]


def scan_part(
    source: Source, part: int, queries: Floats, k: int, mask: Mask | None
) -> tuple[Floats, Ints]:
    """Scan one part's shards, here or on a worker."""
    apply_threads()
    opened = open_source(source)
    if mask is not None:
        whole = np.zeros(len(opened.collection), dtype=bool)
        whole[opened.span(part)] = mask
        mask = whole
    return scan(opened.collection, queries, k, opened.places[part], mask)


def probe_part(
    source: Source,
    part: int,
    rotated: Floats,
    lists: Ints,
    distances: Floats,
    count: int,
    mask: Mask | None,
) -> tuple[Floats, Ints]:
    """Search one part's inverted lists, here or on a worker."""
    apply_threads()
    opened = open_source(source)
    span = opened.span(part)
    most = min(count, span.stop - span.start)
    found, ids = opened.lists(part).search(rotated, lists, distances, most, mask)
    return found, np.where(ids >= 0, ids + span.start, -1)


def _slice(opened: Opened, part: int, mask: Mask | None) -> Mask | None:
    return None if mask is None else mask[opened.span(part)]
