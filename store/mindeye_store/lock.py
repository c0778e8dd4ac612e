"""Locks for writers: a folder with its owner's facts, taken by an atomic rename.

Renaming a folder onto one that holds a file fails on every POSIX file system, NFS included,
where `flock` alone is not to be trusted. A dead owner's lock is moved to a place named by that
owner's own token and left there as a tombstone, so a slower process with the same idea finds the
place taken and cannot move away the lock of whoever came next. Readers take no lock.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import threading
import time
import uuid
from pathlib import Path
from types import TracebackType

from mindeye_store.errors import InvalidInput, StoreLocked
from mindeye_store.files import disk_errors, read_json, write_json
from mindeye_store.owner import Owner, owner_from, state_of, this_process

HEARTBEAT_S = 30.0
_TOMBSTONE_KEPT_S = 86400.0
# A lock without an owner is being given back, or was tampered with.
_GRACE_S = 1.0
_LOG = logging.getLogger("mindeye")


class Lock:
    """One named lock of a store.

    Parameters
    ----------
    folder : Path
        Where the locks of one bundle lie; created when absent.
    name : str
        This lock's name in the folder.
    what : str
        What is being written, for messages.
    purpose : str
        Kept with the lock, for those who may share in the same purpose.
    """

    def __init__(self, folder: Path, name: str, what: str, purpose: str = "") -> None:
        self.folder, self.name, self.what, self.purpose = folder, name, what, purpose
        self.path = folder / name
        self._token = uuid.uuid4().hex
        self._stop = threading.Event()
        self._beat = threading.Thread(target=self._heartbeat, daemon=True, name="store-lock")

    def acquire(self, *, wait_s: float = 0.0) -> None:
        """Take the lock, taking it over from a dead process of this machine.

        Parameters
        ----------
        wait_s : float
            How long to wait for a living owner, seconds.

        Raises
        ------
        StoreLocked
            Another process holds it, or one on another machine of which nothing is known.
        """
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._clear_tombstones()
            waited, logged = 0.0, -30.0
            while not self._try():
                holder = read_owner(self.path)
                if holder is not None and state_of(holder) == "dead":
                    self._take_over(holder)
                    continue
                if waited >= max(wait_s, _GRACE_S if holder is None else 0.0):
                    raise locked_error(self.what, self.path, holder)
                if holder is not None and waited - logged >= 30.0:
                    _LOG.info("waiting for %s: held by %s", self.what, holder.describe())
                    logged = waited
                pause = min(0.02 + waited / 10, 1.0)
                time.sleep(pause)
                waited += pause
        self._beat.start()

    def held(self) -> bool:
        """Tell whether this lock is still ours."""
        holder = read_owner(self.path)
        return holder is not None and holder.token == self._token

    def release(self) -> None:
        """Give the lock back; a lock that somebody else took over is left alone."""
        self._stop.set()
        if self._beat.is_alive():
            self._beat.join()
        if self.held():
            (self.path / "owner.json").unlink()
            try:
                self.path.rmdir()
            except OSError:
                # An empty folder may be replaced at any moment, and then it is the next owner's.
                return

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _try(self) -> bool:
        beside = self.folder / f".{self.name}.{self._token}"
        beside.mkdir()
        write_json(beside / "owner.json", this_process(self._token, self.purpose).as_dict())
        try:
            beside.rename(self.path)
        except OSError as error:
            shutil.rmtree(beside)
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return False
        return True

    def _take_over(self, holder: Owner) -> None:
        tomb = self.folder / f".dead-{holder.token}"
        try:
            self.path.rename(tomb)
        except OSError:
            return  # Somebody else was quicker; the caller's loop looks again.
        os.utime(tomb)
        _LOG.warning("took over %s: %s has ended", self.what, holder.describe())

    def _clear_tombstones(self) -> None:
        """Remove what is old enough that no slow process can still be acting on it."""
        limit = time.time() - _TOMBSTONE_KEPT_S
        for old in self.folder.glob(".*"):
            try:
                if old.stat().st_mtime < limit:
                    shutil.rmtree(old)
            except FileNotFoundError:
                continue

    def _heartbeat(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            try:
                os.utime(self.path / "owner.json")
            except OSError:
                return  # `held` tells the writer before it publishes.


def read_owner(path: Path) -> Owner | None:
    """Return a lock's owner, or nothing when nobody holds it."""
    try:
        return owner_from(read_json(path / "owner.json"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (InvalidInput, TypeError) as error:
        raise _damaged(path) from error


def held_locks(folder: Path) -> dict[str, Owner]:
    """Return the locks of one bundle that have an owner, dead or alive, by name."""
    names = sorted(p.name for p in folder.glob("[!.]*")) if folder.is_dir() else []
    owners = {name: read_owner(folder / name) for name in names}
    return {name: owner for name, owner in owners.items() if owner is not None}


def locked_error(what: str, path: Path, holder: Owner | None) -> StoreLocked:
    """Explain who holds a lock, how fresh it is, and what to do about it."""
    if holder is None:
        return _damaged(path)
    try:
        age = f"{max(0, round(time.time() - (path / 'owner.json').stat().st_mtime))} s ago"
    except FileNotFoundError:
        age = "unknown"
    if state_of(holder) == "alive":
        fix = f"wait for it, or end process {holder.pid}"
    else:
        fix = f"if that process has ended, remove the folder {path}"
    message = f"{what} is being written by {holder.describe()}; last sign of life {age}"
    return StoreLocked(message, where=str(path), fix=fix)


def _damaged(path: Path) -> StoreLocked:
    return StoreLocked(
        "a lock's file is missing or damaged",
        where=str(path),
        fix=f"when nobody writes to the store, remove the folder {path}",
    )
