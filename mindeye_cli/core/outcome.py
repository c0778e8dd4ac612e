"""What a capability hands back to its command: a status, the paths written, and the JSON values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Status = Literal["ok", "notneeded", "partial"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of one finished step.

    Parameters
    ----------
    status : {"ok", "notneeded", "partial"}
        `notneeded`: everything was there already. `partial`: some items failed and a rerun
        resumes; the process then ends with exit code 5.
    outputs : tuple of Path
        What was written, or what was found when nothing was needed.
    values : dict
        The command's own JSON keys. Numpy scalars and arrays, paths, dataclasses and non-finite
        floats are converted when printed.
    """

    status: Status = "ok"
    outputs: tuple[Path, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)
