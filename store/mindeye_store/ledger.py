"""The ledger: one small file a shard, written after the shard itself is on disk.

Resuming is the plan minus the ledger, and a reader trusts a shard only with an entry here.
"""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mindeye_store.errors import InvalidInput
from mindeye_store.files import read_json, sha256_file, sync_path, write_json
from mindeye_store.schema import LEDGER, MEND, ArraySpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is known of one finished shard."""

    rows: tuple[int, int]
    size: int
    sha256: str
    max_abs: float
    written_utc: str
    host: str
    pid: int


def entry_path(bundle: Path, array: str, shard: int) -> Path:
    """Return where a shard's entry is kept."""
    return bundle / LEDGER / array / f"{shard}.json"


def record(bundle: Path, spec: ArraySpec, shard: int, max_abs: float) -> None:
    """Checksum a shard that was just written, force it to disk and enter it."""
    path = bundle / spec.shard_key(shard)
    sync_path(path)
    entry = Entry(
        rows=spec.span(shard),
        size=path.stat().st_size,
        sha256=sha256_file(path),
        max_abs=max_abs,
        written_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        host=socket.gethostname(),
        pid=os.getpid(),
    )
    place = entry_path(bundle, spec.name, shard)
    place.parent.mkdir(parents=True, exist_ok=True)
    write_json(place, asdict(entry))


def read_entry(bundle: Path, array: str, shard: int) -> Entry | None:
    """Return a shard's entry, or nothing when it has none.

    Raises
    ------
    InvalidInput
        The entry cannot be read.
    """
    path = entry_path(bundle, array, shard)
    try:
        fields = read_json(path)
    except FileNotFoundError:
        return None
    return _entry(fields, path)


def pending(bundle: Path, spec: ArraySpec, part: tuple[int, int]) -> list[int]:
    """Return the shards of one part that are not finished.

    A shard whose file does not have the entered size counts as unfinished: after a power cut a
    file can be shorter than what was entered.
    """
    index, count = part
    return [n for n in range(index, spec.n_shards, count) if not is_done(bundle, spec, n)]


def is_done(bundle: Path, spec: ArraySpec, shard: int) -> bool:
    """Tell whether a staged shard is finished; damaged entries count as not."""
    try:
        entry = read_entry(bundle, spec.name, shard)
        size = (bundle / spec.shard_key(shard)).stat().st_size
    except (InvalidInput, FileNotFoundError):
        return False
    return entry is not None and entry.size == size and entry.rows == spec.span(shard)


def _entry(fields: dict[str, Any], path: Path) -> Entry:
    try:
        start, stop = fields.pop("rows")
        return Entry(rows=(int(start), int(stop)), **fields)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(
            "a ledger entry is damaged",
            where=str(path),
            fix=MEND,
        ) from error
