"""Who holds a lock: the facts of a process and whether that process is still there.

A process is told apart from a later one with the same number by its start time, and a machine
from its own past by its boot id. What cannot be judged from here is reported, never guessed.
"""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

_JOB_VARIABLES = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A process that holds a lock."""

    token: str
    host: str
    machine: str
    boot: str
    namespace: str
    pid: int
    started: str
    job: str
    since: str
    purpose: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)

    def describe(self) -> str:
        """Return who it is, for people."""
        job = f", job {self.job}" if self.job else ""
        return f"process {self.pid} on {self.host}{job}, since {self.since}"


def this_process(token: str, purpose: str = "") -> Owner:
    """Return the facts of the running process."""
    pid = os.getpid()
    return Owner(
        token=token,
        host=socket.gethostname(),
        machine=_text("/etc/machine-id"),
        boot=_text("/proc/sys/kernel/random/boot_id"),
        namespace=_link("/proc/self/ns/pid"),
        pid=pid,
        started=_start_time(pid),
        job=next((os.environ[name] for name in _JOB_VARIABLES if os.environ.get(name)), ""),
        since=datetime.now(UTC).isoformat(timespec="seconds"),
        purpose=purpose,
    )


def owner_from(fields: dict[str, Any]) -> Owner:
    """Rebuild an owner from a lock's file; a missing or unknown field is a TypeError."""
    return Owner(**fields)


def state_of(owner: Owner) -> Literal["alive", "dead", "unknown"]:
    """Judge whether a lock's owner still runs.

    Returns
    -------
    str
        ``dead`` only when it is certain: the same machine has rebooted since, or has no such
        process in the same process namespace. ``unknown`` for other machines and containers.
    """
    here = this_process(owner.token)
    if owner.host != here.host or owner.machine != here.machine:
        return "unknown"
    if owner.boot != here.boot:
        return "dead" if here.machine else "unknown"
    if owner.namespace != here.namespace:
        return "unknown"
    if not _pid_exists(owner.pid) or _start_time(owner.pid) != owner.started:
        return "dead"
    return "alive"


def _pid_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _start_time(pid: int) -> str:
    """Return the kernel's start tick of a process, or nothing where there is no /proc."""
    stat = _text(f"/proc/{pid}/stat")
    # The command name, in brackets, may hold spaces; field 22 counts from before it.
    fields = stat.rpartition(")")[2].split()
    # A killed process whose parent has not yet waited for it (state Z) holds nothing any more.
    return fields[19] if len(fields) > 19 and fields[0] != "Z" else ""


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
