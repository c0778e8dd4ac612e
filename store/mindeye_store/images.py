"""The images of a store: append-only segments read as one list, one row per unique image."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mindeye_store.errors import InvalidInput, MissingResource
from mindeye_store.lock import Lock
from mindeye_store.published import array_names, array_spec
from mindeye_store.read import Reader
from mindeye_store.readers import ReaderKind, in_memory, open_array_reader, read_column
from mindeye_store.schema import LOCKS
from mindeye_store.segments import SegmentReader
from mindeye_store.text import OFFSETS, UTF8, decode_texts

if TYPE_CHECKING:
    from mindeye_store.store import Store

# Another job of the same study may be storing all its images first.
APPEND_WAIT_S = 3600.0
_BLOCK_ROWS = 128


class Images:
    """Read the images; a snapshot of the segments that were published when it was made."""

    def __init__(self, store: Path, segments: Sequence[str], kind: ReaderKind) -> None:
        self.segments = list(segments)
        self._store, self._kind = store, kind

    @cached_property
    def counts(self) -> list[int]:
        """Rows of each segment."""
        return [array_spec(folder, "pixels").shape[0] for folder in self._folders]

    @property
    def n(self) -> int:
        """Images in all segments."""
        return sum(self.counts)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, H, W, 3), or (0,) for a store without images."""
        return self._pixels.shape if self.segments else (0,)

    @cached_property
    def ids(self) -> list[str]:
        """Image ids by global row."""
        return list(chain.from_iterable(read_text(folder, "id") for folder in self._folders))

    @cached_property
    def rows(self) -> dict[str, int]:
        """Global row of each id."""
        return {name: row for row, name in enumerate(self.ids)}

    @cached_property
    def captions(self) -> list[str | None] | None:
        """Captions by global row; None where a segment, or the whole store, has none."""
        return self._texts("caption")

    @cached_property
    def records(self) -> list[dict[str, Any] | None] | None:
        """Attribute records by global row; None as for captions."""
        texts = self._texts("record")
        if texts is None:
            return None
        return [None if text is None else json.loads(text) for text in texts]

    def read(self, rows: Any) -> np.ndarray:
        """Read pixels, uint8 (k, H, W, 3), of global rows in any order."""
        return self._pixels.read(rows)

    @property
    def _folders(self) -> list[Path]:
        return [self._store / "images" / segment for segment in self.segments]

    @cached_property
    def _pixels(self) -> Reader:
        absent = MissingResource(
            "the store has no images", where=str(self._store), fix="mindeye prepare --help"
        )
        parts = [open_array_reader(folder, "pixels", self._kind) for folder in self._folders]
        return in_memory(SegmentReader(parts, self.counts, absent), self._kind)

    def _texts(self, name: str) -> list[str | None] | None:
        per_segment: list[list[str | None]] = []
        for folder, count in zip(self._folders, self.counts, strict=True):
            there = f"{name}/{UTF8}" in array_names(folder)
            per_segment.append([*read_text(folder, name)] if there else [None] * count)
        texts = list(chain.from_iterable(per_segment))
        return texts if any(text is not None for text in texts) else None


def read_text(bundle: Path, name: str) -> list[str]:
    """Read a column of text whole."""
    data, offsets = (read_column(bundle, f"{name}/{part}") for part in (UTF8, OFFSETS))
    return decode_texts(data, offsets)


def append(
    store: Store,
    ids: Sequence[str],
    pixels: Callable[[np.ndarray], np.ndarray],
    shape: Sequence[int],
    captions: Sequence[str] | None,
    records: Sequence[dict[str, Any]] | None,
    plan: dict[str, Any],
) -> np.ndarray:
    """Append images that are not there; see `Store.add_images`."""
    names = list(ids)
    _check_lengths(names, captions, records)
    if tuple(shape[2:]) != (3,) or len(shape) != 3:
        raise InvalidInput(f"images are (height, width, 3), not {tuple(shape)}")
    lock = Lock(store.path / LOCKS / "images", "append", "the list of images")
    lock.acquire(wait_s=APPEND_WAIT_S)
    with lock:
        known = store.images
        if known.n and tuple(shape) != known.shape[1:]:
            raise InvalidInput(
                f"images of shape {tuple(shape)} in a store of {known.shape[1:]}",
                where=str(store.path),
                fix="prepare them into a store of their own",
            )
        rows = known.rows
        there = [(i, rows[name]) for i, name in enumerate(names) if name in rows]
        _check_same(known, there, names, pixels)
        new = np.array([i for i, name in enumerate(names) if name not in rows], dtype=np.int64)
        if new.size:
            segment = f"{len(known.segments):04d}"
            _write_segment(store, segment, new, names, pixels, shape, captions, records, plan)
        rows = store.images.rows
    return np.array([rows[name] for name in names], dtype=np.int64)


def _check_lengths(names: list[str], *columns: Sequence[Any] | None) -> None:
    if len(set(names)) != len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise InvalidInput("an image id is there twice", where=repr(twice))
    for column in columns:
        if column is not None and len(column) != len(names):
            raise InvalidInput(f"{len(column)} captions or records for {len(names)} images")


def _check_same(
    known: Images,
    pairs: list[tuple[int, int]],
    names: list[str],
    pixels: Callable[[np.ndarray], np.ndarray],
) -> None:
    """An id that is there already must mean the same picture."""
    for start in range(0, len(pairs), _BLOCK_ROWS):
        block = np.array(pairs[start : start + _BLOCK_ROWS], dtype=np.int64)
        given, stored = np.asarray(pixels(block[:, 0])), known.read(block[:, 1])
        for row, (one, other) in enumerate(zip(given, stored, strict=True)):
            if not np.array_equal(one, other):
                raise InvalidInput(
                    "an image of this id is in the store with other pixels",
                    where=repr(names[int(block[row, 0])]),
                    fix="give it another id, or prepare into another store",
                )


def _write_segment(
    store: Store,
    segment: str,
    new: np.ndarray,
    names: list[str],
    pixels: Callable[[np.ndarray], np.ndarray],
    shape: Sequence[int],
    captions: Sequence[str] | None,
    records: Sequence[dict[str, Any]] | None,
    plan: dict[str, Any],
) -> None:
    chosen = [names[i] for i in new]
    digest = hashlib.sha256("\0".join(chosen).encode()).hexdigest()
    full_plan = {"source": plan, "ids_sha256": digest, "shape": list(shape)}
    with store.write_bundle(f"images/{segment}", plan=full_plan, attrs={}) as writer:
        array = writer.array("pixels", shape=(new.size, *shape), dtype="uint8")
        for shard, rows in array.pending():
            array.write(shard, pixels(new[rows]))
        writer.text("id", chosen)
        if captions is not None:
            writer.text("caption", [captions[i] for i in new])
        if records is not None:
            writer.text("record", [json.dumps(records[i], sort_keys=True) for i in new])
        writer.publish()
