"""The same functions in this process or on a Dask cluster, one task a part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from mindeye_cli.core.neighbours.needs import need_distributed
from mindeye_store.errors import MissingResource, PartialResult

Result = TypeVar("Result")
CONNECT_S = 10


class Run(Protocol):
    """Calls a function once for every tuple of arguments and yields the results in their order."""

    def __call__(
        self, work: Callable[..., Result], tasks: Sequence[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """Do the work."""


def embedded(work: Callable[..., Result], tasks: Sequence[tuple[Any, ...]]) -> Iterator[Result]:
    """Do one task after the other in this process."""
    for task in tasks:
        yield work(*task)


@contextmanager
def runner(scheduler: str | None) -> Iterator[Run]:
    """This process, or the workers of a Dask scheduler.

    Parameters
    ----------
    scheduler : str or None
        Such as `tcp://host:8786`.

    Raises
    ------
    MissingResource
        The package is not installed, or nobody answers at the address.
    """
    if scheduler is None:
        yield embedded
        return
    distributed = need_distributed()
    try:
        client = distributed.Client(scheduler, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError) as problem:
        raise MissingResource(
            "no Dask scheduler answers", where=scheduler, fix="dask scheduler, then dask worker"
        ) from problem
    try:
        yield lambda work, tasks: _submitted(client, work, tasks)
    finally:
        client.close()


def _submitted(
    client: Any, work: Callable[..., Result], tasks: Sequence[tuple[Any, ...]]
) -> Iterator[Result]:
    """One future a task; a lost worker's tasks go to the others."""
    distributed = need_distributed()
    # Not pure: the same call later must look at the files again.
    futures = [client.submit(work, *task, pure=False) for task in tasks]
    try:
        for future in futures:
            yield future.result()
    except (distributed.scheduler.KilledWorker, distributed.CancelledError) as problem:
        raise PartialResult(
            f"the workers were lost: {problem}",
            where=work.__name__,
            fix="start workers and run the same command again; finished parts are kept",
        ) from problem
    finally:
        client.cancel(futures)
