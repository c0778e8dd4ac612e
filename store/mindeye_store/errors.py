"""The one tree of errors that every layer raises; the command line maps each class to an exit code.

Imports the standard library only, so that raising or mapping an error never loads numpy or zarr.
"""

from __future__ import annotations


class MindeyeError(Exception):
    """Base of every expected failure.

    Parameters
    ----------
    message : str
        What is wrong, in one line.
    where : str, optional
        The file, row or key that is at fault.
    fix : str, optional
        The command or action that mends it.
    """

    def __init__(self, message: str, *, where: str | None = None, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        mend = f"; {self.fix}" if self.fix else ""
        return f"{self.message}{place}{mend}"

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments are lost by the default pickling, which data workers rely on.
        return (_rebuild, (type(self), self.message, self.where, self.fix))


class UsageProblem(MindeyeError):
    """An option, configuration key or combination of them is wrong (exit 2)."""


class InvalidInput(MindeyeError):
    """A file or array that was read does not hold what it must (exit 3)."""


class MissingResource(MindeyeError):
    """A file, model, optional package or stored array is absent (exit 4)."""


class PartialResult(MindeyeError):
    """Some of the work failed and the rest was kept (exit 5)."""


class StoreLocked(MindeyeError):
    """Another process owns what should be written (exit 6)."""


class Requeue(MindeyeError):
    """Work was saved after a stop signal and must be started again (exit 75)."""


def _rebuild(
    kind: type[MindeyeError], message: str, where: str | None, fix: str | None
) -> MindeyeError:
    return kind(message, where=where, fix=fix)
