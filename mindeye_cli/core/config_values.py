"""Turn one TOML value into the type that a configuration field is annotated with.

Strict where a silent conversion would hide a mistake: no number from a string, no bool as number,
no float with a fraction as integer. An integer is a valid float, and `1e3` a valid integer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

NONE = "none"


def coerce(hint: Any, value: Any) -> Any:
    """Convert `value` to the annotation `hint`.

    Parameters
    ----------
    hint : type or typing construct
        `bool`, `int`, `float`, `str`, `Path`, `Literal`, `X | None`, `tuple[X, ...]`,
        `tuple[X, Y]`, `dict[str, X]` or `Any`.
    value : Any
        As TOML gives it.

    Returns
    -------
    Any
        The converted value.

    Raises
    ------
    ValueError, TypeError
        When the value is not of that type; when the annotation is not one of those above.
    """
    origin = get_origin(hint)
    if hint is Any:
        return value
    if origin is Literal:
        return _literal(get_args(hint), value)
    if origin in (Union, UnionType):
        return _union(get_args(hint), value)
    if origin is tuple:
        return _tuple(get_args(hint), value)
    if origin in (dict, Mapping):
        return {str(key): coerce(get_args(hint)[1], item) for key, item in dict(value).items()}
    return _scalar(hint, value)


def expected(hint: Any) -> str:
    """What to call the annotation in an error."""
    origin = get_origin(hint)
    if origin is Literal:
        return "one of " + ", ".join(repr(item) for item in get_args(hint))
    if origin in (Union, UnionType):
        return " or ".join(expected(item) for item in get_args(hint))
    if origin is tuple:
        return "a list of " + expected(get_args(hint)[0])
    if hint is NoneType:
        return f"'{NONE}'"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}
    return names.get(hint, getattr(hint, "__name__", str(hint)))


def _scalar(hint: Any, value: Any) -> Any:
    if hint is bool and isinstance(value, bool):
        return value
    if hint in (int, float) and isinstance(value, int | float) and not isinstance(value, bool):
        if hint is int and value != int(value):
            raise ValueError(value)
        return hint(value)
    if hint is str and isinstance(value, str):
        return value
    if hint is Path and isinstance(value, str | Path):
        return Path(value)
    raise ValueError(value)


def _literal(allowed: Sequence[Any], value: Any) -> Any:
    for item in allowed:
        if type(item) is type(value) and item == value:
            return item
    raise ValueError(value)


def _union(members: Sequence[Any], value: Any) -> Any:
    if NoneType in members and (value is None or value == NONE):
        return None
    for member in members:
        if member is NoneType:
            continue
        try:
            return coerce(member, value)
        except (TypeError, ValueError):
            continue
    raise ValueError(value)


def _tuple(members: Sequence[Any], value: Any) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(value)
    if len(members) == 2 and members[1] is Ellipsis:
        return tuple(coerce(members[0], item) for item in value)
    if len(members) != len(value):
        raise ValueError(value)
    return tuple(coerce(member, item) for member, item in zip(members, value, strict=True))
