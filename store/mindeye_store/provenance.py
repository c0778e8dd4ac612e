"""Provenance attributes, with the field names of BIDS derivatives."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any


def generated_by() -> list[dict[str, Any]]:
    """Return BIDS' `GeneratedBy`: this program, its versions and its command line."""
    packages = {name: _version(name) for name in ("numpy", "zarr")}
    return [
        {
            "Name": "mindeye",
            "Version": _version("mindeye"),
            "CommandLine": list(sys.argv),
            "Python": platform.python_version(),
            "Packages": packages,
        }
    ]


def block(attrs: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return attributes with their provenance.

    Parameters
    ----------
    attrs : mapping, optional
        The caller's attributes. Its own `GeneratedBy`, `SourceDatasets` (list of objects with
        `id`, `version`, `sha256`) and `created_utc` are kept.

    Returns
    -------
    dict
        With `GeneratedBy`, `SourceDatasets` and `created_utc` (ISO 8601).
    """
    return {
        "GeneratedBy": generated_by(),
        "SourceDatasets": [],
        "created_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        **(attrs or {}),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
