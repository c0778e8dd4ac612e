"""Writes that are whole or absent: written beside the target, flushed to disk, then renamed.

A process killed at any moment leaves the old file or the new one. What it leaves beside them,
`NAME.tmp-HOST-PID-RANDOM`, is removed by the next write of the same target.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from mindeye_cli.core.jsonable import dumps
from mindeye_store.errors import UsageProblem


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data` in one step; the parent folder is made when absent."""
    write_stream(path, lambda stream: stream.write(data))


def write_stream(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Replace `path` in one step by what `write` puts into the open file it is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path.parent, path.name)
    beside = _beside(path)
    try:
        with beside.open("wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    fsync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Replace `path` by UTF-8 `text` in one step."""
    write_bytes(path, text.encode())


def write_once(path: Path, text: str) -> bool:
    """Write UTF-8 `text` unless the file exists; of several processes at once, one succeeds.

    Returns
    -------
    bool
        Whether this call wrote it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path)
    try:
        write_bytes(beside, text.encode())
        os.link(beside, path)
    except FileExistsError:
        return False
    finally:
        beside.unlink(missing_ok=True)
    fsync_folder(path.parent)
    return True


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by indented JSON of `value`, with non-finite numbers as null."""
    write_text(path, dumps(value, indent=2) + "\n")


@contextmanager
def staged_dir(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A folder that appears under its name only when the block ends without an error.

    Parameters
    ----------
    path : Path
        The folder to make.
    overwrite : bool
        Replace an existing folder; otherwise one that exists is refused.

    Yields
    ------
    Path
        The empty folder to fill, beside the target and on its file system.

    Raises
    ------
    UsageProblem
        When `path` exists and `overwrite` is false.
    """
    refuse_existing(path, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path.parent, path.name)
    beside = _beside(path)
    beside.mkdir()
    try:
        yield beside
        fsync_tree(beside)
        _swap(beside, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    fsync_folder(path.parent)


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raise unless `path` is free, an empty folder, or may be overwritten.

    Raises
    ------
    UsageProblem
        When something that holds data is in the way.
    """
    if overwrite or not path.exists():
        return
    if path.is_dir() and not any(path.iterdir()):
        return
    raise UsageProblem(
        "the output exists already",
        where=str(path),
        fix="give another path, or add --overwrite to replace it",
    )


def fsync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename in it survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def fsync_tree(folder: Path) -> None:
    """Flush every file below `folder`, then the folders themselves."""
    for parent, _, names in os.walk(folder):
        for name in names:
            handle = os.open(Path(parent, name), os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        fsync_folder(Path(parent))


def remove_abandoned(folder: Path, name: str | None = None) -> None:
    """Delete what killed processes of this host left beside `name`, or beside any name."""
    pattern = "*" if name is None else _escape(name)
    for leftover in folder.glob(f"{pattern}.tmp-{_escape(_host())}-*"):
        pid = leftover.name.rsplit("-", 2)[1]
        if not pid.isdigit() or _alive(int(pid)):
            continue
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink(missing_ok=True)


def _swap(beside: Path, path: Path) -> None:
    """Put `beside` at `path`; folders cannot be replaced, so the old one is moved away."""
    if not path.exists():
        beside.rename(path)
        return
    away = _beside(path)
    path.rename(away)
    beside.rename(path)
    if away.is_dir():
        shutil.rmtree(away)
    else:
        away.unlink()


def _host() -> str:
    return socket.gethostname().split(".")[0].replace("-", "_") or "host"


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.tmp-{_host()}-{os.getpid()}-{uuid4().hex[:8]}")


def _escape(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
