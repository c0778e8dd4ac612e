"""The feature store: images, trials, voxel metadata and targets as sharded zarr v3 arrays.

Depends on numpy and zarr only. Names are loaded on first use (PEP 562), because importing zarr
takes longer than the command line's whole start-up budget.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mindeye_store.errors import (
        InvalidInput,
        MindeyeError,
        MissingResource,
        PartialResult,
        Requeue,
        StoreLocked,
        UsageProblem,
    )
    from mindeye_store.opening import create_store, open_store
    from mindeye_store.read import Reader
    from mindeye_store.store import Store
    from mindeye_store.subjects import Roi, Subject
    from mindeye_store.targets import prepare_command
    from mindeye_store.verify import Problem, verify_store
    from mindeye_store.views import split_view, view_space

_HOMES = {
    "InvalidInput": "errors",
    "MindeyeError": "errors",
    "MissingResource": "errors",
    "PartialResult": "errors",
    "Problem": "verify",
    "Reader": "read",
    "Requeue": "errors",
    "Roi": "subjects",
    "Store": "store",
    "StoreLocked": "errors",
    "Subject": "subjects",
    "UsageProblem": "errors",
    "create_store": "opening",
    "open_store": "opening",
    "prepare_command": "targets",
    "split_view": "views",
    "verify_store": "verify",
    "view_space": "views",
}
__all__ = [
    "InvalidInput",
    "MindeyeError",
    "MissingResource",
    "PartialResult",
    "Problem",
    "Reader",
    "Requeue",
    "Roi",
    "Store",
    "StoreLocked",
    "Subject",
    "UsageProblem",
    "create_store",
    "open_store",
    "prepare_command",
    "split_view",
    "verify_store",
    "view_space",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
