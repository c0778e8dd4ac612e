"""Plain JSON values out of what numerical code returns; non-finite numbers become null.

JSON has no NaN or infinity, and readers in other languages refuse Python's spelling of them.
Numpy and torch are recognised by their methods, so that neither is imported here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any


def to_jsonable(value: Any) -> Any:
    """Convert `value` to dicts, lists, strings, numbers, booleans and None.

    Parameters
    ----------
    value : Any
        Nested containers, dataclasses, enums, paths, numpy or torch scalars and arrays.

    Returns
    -------
    Any
        The same content in JSON's own types.

    Raises
    ------
    TypeError
        When a value has no JSON form.
    """
    if value is None or isinstance(value, bool | str) and not isinstance(value, Enum):
        return value
    if isinstance(value, Enum):
        return to_jsonable(value.value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_jsonable(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(to_jsonable(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_jsonable(getattr(value, item.name)) for item in fields(value)}
    if hasattr(value, "tolist"):
        return to_jsonable(value.tolist())
    raise TypeError(f"{type(value).__name__} has no JSON form")


def dumps(value: Any, *, indent: int | None = None) -> str:
    """JSON text of `value`, with non-finite numbers as null."""
    return json.dumps(to_jsonable(value), ensure_ascii=False, allow_nan=False, indent=indent)
