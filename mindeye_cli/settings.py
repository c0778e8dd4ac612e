"""What holds for the whole process: output mode, offline switch, colour, logging and user folders.

The offline variables must be in place before any Hugging Face library is imported, because those
libraries read them at import time. That is why commands import late and this module runs first.
"""

from __future__ import annotations

import logging
import os
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from mindeye_store.errors import UsageProblem

LOG_LEVELS = ("debug", "info", "warning", "error")
_OFFLINE = ("MINDEYE_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The global options, after flags and environment.

    Parameters
    ----------
    json, quiet : bool
        Machine form on stdout; bare paths on stdout. `json` wins.
    offline : bool
        No download at all.
    no_color : bool
        Plain text on terminals.
    log_level : str
        One of `LOG_LEVELS`; "warning" when quiet and not set.
    version : bool
        Print the version and stop.
    """

    json: bool = False
    quiet: bool = False
    offline: bool = False
    no_color: bool = False
    log_level: str | None = None
    version: bool = False


_current: ContextVar[Settings] = ContextVar("settings", default=Settings())  # noqa: B039  (frozen)


def current() -> Settings:
    """The settings of the running command."""
    return _current.get()


def activate(settings: Settings) -> None:
    """Put settings in force: environment for libraries and child processes, then logging.

    Raises
    ------
    UsageProblem
        For an unknown log level.
    """
    _current.set(settings)
    if settings.offline or flag("MINDEYE_OFFLINE"):
        os.environ.update(dict.fromkeys(_OFFLINE, "1"))
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if settings.no_color or os.environ.get("TERM") == "dumb":
        os.environ["NO_COLOR"] = "1"
    level = settings.log_level
    if level is None:
        level = os.environ.get("MINDEYE_LOG_LEVEL") or ("warning" if settings.quiet else "info")
    if level not in LOG_LEVELS:
        choices = ", ".join(LOG_LEVELS)
        raise UsageProblem(
            f"unknown log level {level!r}", where="--log-level", fix=f"use {choices}"
        )
    _configure_logging(level)


def flag(variable: str) -> bool:
    """Whether an environment variable is set to something else than nothing, 0, no or false."""
    return os.environ.get(variable, "").lower() not in ("", "0", "no", "false")


def user_folder(kind: str) -> Path:
    """The user's folder for "config", "cache" or "state": `MINDEYE_HOME`, else XDG's."""
    home = os.environ.get("MINDEYE_HOME")
    if home:
        return Path(home) / kind
    fallback = {"config": ".config", "cache": ".cache", "state": ".local/state"}[kind]
    base = os.environ.get(f"XDG_{kind.upper()}_HOME") or Path.home() / fallback
    return Path(base) / "mindeye"


class _Lines(logging.Formatter):
    """Time and message; the level is named from warnings upwards."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        named = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return f"{self.formatTime(record, '%H:%M:%S')} {named}{text}"


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to whatever sys.stderr is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def _configure_logging(level: str) -> None:
    logger = logging.getLogger("mindeye")
    logger.setLevel(level.upper())
    if not any(isinstance(handler, _Stderr) for handler in logger.handlers):
        handler = _Stderr()
        handler.setFormatter(_Lines())
        logger.addHandler(handler)
