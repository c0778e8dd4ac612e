"""Exit codes, and the one place that turns an exception into a code, a line and a JSON object."""

from __future__ import annotations

import errno
import traceback
from dataclasses import dataclass
from enum import IntEnum

import typer

from mindeye_store.errors import (
    InvalidInput,
    MindeyeError,
    MissingResource,
    PartialResult,
    Requeue,
    StoreLocked,
    UsageProblem,
)


class ExitCode(IntEnum):
    """What the process answers."""

    OK = 0  # done, or nothing to do
    FAILURE = 1  # unexpected failure
    USAGE = 2  # options or configuration
    INVALID = 3  # bad data, checksum, shape, dtype
    MISSING = 4  # a needed weight, index, file or package is missing
    PARTIAL = 5  # some items failed, a rerun resumes
    LOCKED = 6  # the store is locked
    REQUEUE = 75  # stopped on SIGTERM/SIGUSR1 after saving
    INTERRUPTED = 130  # interrupted from the keyboard


# Subclasses before their parents: the first match counts.
_CODES: tuple[tuple[type[BaseException], ExitCode], ...] = (
    (UsageProblem, ExitCode.USAGE),
    (InvalidInput, ExitCode.INVALID),
    (MissingResource, ExitCode.MISSING),
    (PartialResult, ExitCode.PARTIAL),
    (StoreLocked, ExitCode.LOCKED),
    (Requeue, ExitCode.REQUEUE),
    (KeyboardInterrupt, ExitCode.INTERRUPTED),
    (typer.Abort, ExitCode.INTERRUPTED),
    (FileNotFoundError, ExitCode.MISSING),
    (ModuleNotFoundError, ExitCode.MISSING),
)
_DEBUG = "run it again with MINDEYE_DEBUG=1 for the traceback"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure as it is shown.

    Parameters
    ----------
    code : ExitCode
        What the process answers.
    message : str
        What was wrong, in one line.
    where : str, optional
        File, row or key.
    fix : str, optional
        The command that mends it.
    """

    code: ExitCode
    message: str
    where: str | None = None
    fix: str | None = None

    def line(self) -> str:
        """The one line for people."""
        place = f" ({self.where})" if self.where else ""
        mend = f"; {self.fix}" if self.fix else ""
        return f"error: {self.message}{place}{mend}"


def exit_code(problem: BaseException) -> ExitCode:
    """The exit code of an exception."""
    for kind, code in _CODES:
        if isinstance(problem, kind):
            return code
    if isinstance(problem, typer.TyperException):
        return ExitCode(problem.exit_code)
    return ExitCode.FAILURE


def describe(problem: BaseException) -> Failure:
    """Say what an exception means to the person who typed the command."""
    code = exit_code(problem)
    if isinstance(problem, MindeyeError):
        return Failure(code, _one_line(problem.message), problem.where, problem.fix)
    if isinstance(problem, KeyboardInterrupt | typer.Abort):
        return Failure(code, "interrupted")
    if isinstance(problem, typer.TyperException):
        context = getattr(problem, "ctx", None)
        fix = f"see {context.command_path} --help" if context is not None else None
        return Failure(code, _one_line(problem.format_message()), None, fix)
    if isinstance(problem, ModuleNotFoundError):
        fix = f"pip install the package that holds '{problem.name}'"
        return Failure(code, f"the module '{problem.name}' is not installed", None, fix)
    if isinstance(problem, OSError) and problem.errno is not None:
        return _operating_system(problem, code)
    return Failure(code, f"{type(problem).__name__}: {_one_line(str(problem))}", None, _DEBUG)


def trace(problem: BaseException) -> str:
    """The traceback, for MINDEYE_DEBUG=1."""
    return "".join(traceback.format_exception(problem))


def _operating_system(problem: OSError, code: ExitCode) -> Failure:
    fixes = {
        errno.ENOSPC: "free some space and run the same command again",
        errno.ENOENT: "check the path",
        errno.EACCES: "check the permissions",
    }
    message = _one_line(problem.strerror or str(problem)).lower()
    where = None if problem.filename is None else str(problem.filename)
    return Failure(code, message, where, fixes.get(problem.errno or 0, _DEBUG))


def _one_line(text: str) -> str:
    return " ".join(text.split()).removesuffix(".")
