"""Run configuration: frozen dataclasses filled from a preset, a TOML file and `--set a.b=value`.

Later layers win. A key that no dataclass field answers to is an error with a suggestion, in every
layer, so that a misspelt option can never be ignored. TOML has no null: an optional field that is
None is written as the string "none".
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import tomli_w

from mindeye_cli.core.config_values import NONE, coerce, expected
from mindeye_store.errors import MissingResource, UsageProblem

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Config = TypeVar("Config", bound=DataclassInstance)
else:
    Config = TypeVar("Config")
SAME_NUMBER = 1e-8  # relative difference of two numbers that count as one


def load_config(
    cls: type[Config],
    *,
    preset: Mapping[str, Any] | None = None,
    file: Path | None = None,
    overrides: Sequence[str] = (),
) -> Config:
    """Build a configuration from its layers, the last one winning.

    Parameters
    ----------
    cls : type
        A frozen dataclass, possibly nested.
    preset : mapping, optional
        Nested values that replace the dataclass's defaults.
    file : Path, optional
        A TOML file.
    overrides : sequence of str
        `a.b=value` with TOML values; a bare word counts as a string and `none` as null.

    Returns
    -------
    cls
        The resolved configuration.

    Raises
    ------
    UsageProblem
        For unknown or missing keys, wrong types and unreadable TOML, naming file and key.
    MissingResource
        When `file` does not exist.
    """
    merged: dict[str, Any] = {}
    layers = [("the preset", preset or {})]
    if file is not None:
        layers.append((str(file), _read_toml(file)))
    layers += [(f"--set {text}", _parse_override(text)) for text in overrides]
    for where, layer in layers:
        _check_keys(cls, layer, where, "")
        _merge(merged, layer)
    return _build(cls, merged, "", "the configuration")


def from_toml(cls: type[Config], text: str, *, where: str = "config.toml") -> Config:
    """Read back what `to_toml` wrote; unknown and missing keys are errors."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise UsageProblem(f"not valid TOML: {problem}", where=where) from problem
    _check_keys(cls, data, where, "")
    return _build(cls, data, "", where)


def to_toml(config: DataclassInstance) -> str:
    """TOML text of a configuration, every field included, defaults too."""
    return tomli_w.dumps(_plain(config))


def same_settings(one: str, other: str) -> bool:
    """Whether two TOML texts agree; a number that follows from data may differ in its last digits.

    Which digits those are depends on the machine and on its number of threads.
    """
    return one == other or _close(tomllib.loads(one), tomllib.loads(other))


def _close(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_close(one[key], other[key]) for key in one)
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=SAME_NUMBER)
    return bool(one == other)


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as problem:
        raise MissingResource("the configuration file is absent", where=str(file)) from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise UsageProblem(f"not valid TOML: {problem}", where=str(file)) from problem


def _parse_override(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise UsageProblem(
            "an override must look like key=value", where=f"--set {text}", fix="--set a.b=value"
        )
    parsed: Any = value.strip()
    try:
        parsed = tomllib.loads(f"value = {parsed}")["value"]
    except tomllib.TOMLDecodeError:
        pass  # A bare word: shells eat the quotes that TOML wants around a string.
    for part in reversed(parts):
        parsed = {part: parsed}
    return dict(parsed)


def _merge(into: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for key, value in layer.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def _check_keys(cls: type, data: Mapping[str, Any], where: str, prefix: str) -> None:
    hints = get_type_hints(cls)
    known = [item.name for item in fields(cls)]
    for key, value in data.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            fix = f"did you mean '{prefix}{near[0]}'?" if near else f"known: {', '.join(known)}"
            raise UsageProblem(f"unknown key '{prefix}{key}'", where=where, fix=fix)
        inner = hints[key]
        if isinstance(inner, type) and is_dataclass(inner):
            if not isinstance(value, Mapping):
                raise UsageProblem(f"'{prefix}{key}' is a table, not a value", where=where)
            _check_keys(inner, value, where, f"{prefix}{key}.")
        else:
            _value(inner, value, f"{prefix}{key}", where)


def _build(
    cls: type[Config], data: Mapping[str, Any], prefix: str, where: str, base: Any = None
) -> Config:
    """Make `cls` from `data`; what it lacks comes from `base`, else from the field's default."""
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for item in fields(cls):
        key, hint = item.name, hints[item.name]
        default = getattr(base, key) if base is not None else _default(item)
        if isinstance(hint, type) and is_dataclass(hint):
            inner = None if default is MISSING else default
            values[key] = _build(hint, data.get(key, {}), f"{prefix}{key}.", where, inner)
        elif key in data:
            values[key] = _value(hint, data[key], f"{prefix}{key}", where)
        elif default is MISSING:
            fix = f"add --set {prefix}{key}=..."
            raise UsageProblem(f"'{prefix}{key}' has no value", where=where, fix=fix)
        else:
            values[key] = default
    try:
        return cls(**values)
    except ValueError as problem:  # A __post_init__ that refuses a combination.
        raise UsageProblem(str(problem), where=f"{where} {prefix.rstrip('.')}".strip()) from problem


def _default(item: Field[Any]) -> Any:
    if item.default_factory is not MISSING:
        return item.default_factory()
    return item.default


def _value(hint: Any, value: Any, key: str, where: str) -> Any:
    try:
        return coerce(hint, value)
    except (TypeError, ValueError) as problem:
        raise UsageProblem(
            f"'{key}' must be {expected(hint)}, not {value!r}", where=where
        ) from problem


def _plain(value: Any) -> Any:
    if value is None:
        return NONE
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value
