"""The TensorStore back end: random rows several times faster, an optional package.

TensorStore ends a process that was forked after it was used, so it is imported on first read
and only when it was asked for.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from mindeye_store.errors import MissingResource
from mindeye_store.read import ArrayReader, put


def installed() -> bool:
    """Tell whether TensorStore can be imported, without importing it."""
    return find_spec("tensorstore") is not None


class TensorReader(ArrayReader):
    """Reads rows through TensorStore.

    Raises
    ------
    MissingResource
        At construction, when the package is not installed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not installed():
            raise MissingResource(
                "the reader `tensorstore` needs the package tensorstore",
                fix="pip install 'mindeye[fast]'",
            )
        super().__init__(*args, **kwargs)

    def _open(self) -> Any:
        import tensorstore

        kvstore = {"driver": "file", "path": str(self.bundle / self.spec.name)}
        spec = {"driver": "zarr3", "kvstore": kvstore}
        return tensorstore.open(spec, read=True, open=True).result()

    def _read_sorted(self, handle: Any, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        return put(np.asarray(handle.oindex[rows].read().result()), places)
