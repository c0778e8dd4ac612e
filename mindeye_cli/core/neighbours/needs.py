"""Optional packages: imported when first needed, and asked for by the extra that brings them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mindeye_cli.core.threads import thread_count
from mindeye_store.errors import MissingResource


def need_faiss() -> Any:
    """The module `faiss`, with the threads that the user allows.

    Raises
    ------
    MissingResource
        It is not installed.
    """
    faiss = _need("faiss", "index")
    wanted = thread_count()
    if wanted is not None:
        faiss.omp_set_num_threads(wanted)
    return faiss


def need_pyarrow(module: str) -> Any:
    """A module of pyarrow, such as `pyarrow.parquet`.

    Raises
    ------
    MissingResource
        It is not installed.
    """
    return _need(module, "index")


def need_distributed() -> Any:
    """The module `distributed`.

    Raises
    ------
    MissingResource
        It is not installed.
    """
    return _need("distributed", "cluster")


def _need(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as problem:
        raise MissingResource(
            f"an index needs the package {module.partition('.')[0]}",
            fix=f"pip install 'mindeye[{extra}]'",
        ) from problem
