"""Small file primitives: atomic JSON, checksums, fsync. Standard library only.

Files are opened with their plain mode, so the user's umask and a folder's group both hold.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mindeye_store.errors import InvalidInput, PartialResult

_FULL = (errno.ENOSPC, errno.EDQUOT)
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


def write_json(path: Path, value: Mapping[str, Any], *, sync: bool = False) -> None:
    """Write JSON beside its place and rename it there."""
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    text = json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
    with beside.open("w", encoding="utf-8") as handle:
        handle.write(text)
        if sync:
            handle.flush()
            os.fsync(handle.fileno())
    beside.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    InvalidInput
        It does not hold a JSON object.
    """
    try:
        value = json.loads(path.read_bytes())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InvalidInput("not a JSON file", where=str(path)) from error
    if not isinstance(value, dict):
        raise InvalidInput("not a JSON object", where=str(path))
    return value


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, read in pieces."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sync_path(path: Path) -> None:
    """Force a file or a folder's entries to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk and a read-only store into one clear line each."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise PartialResult(
                "the disk is full; finished shards are kept",
                where=str(path),
                fix="free some space and run the same command again",
            ) from error
        if error.errno in _READ_ONLY:
            raise InvalidInput(
                "the store cannot be written",
                where=str(path),
                fix="ask its owner for write permission, or use a store of your own",
            ) from error
        raise
