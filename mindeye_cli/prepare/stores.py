"""Whether a subject is in the store already, and what the store says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mindeye_store import open_store
from mindeye_store.errors import InvalidInput


def already_there(path: Path, subject: str, plan: dict[str, Any], overwrite: bool) -> bool:
    """Whether the store holds the subject from this very plan.

    Raises
    ------
    InvalidInput
        It holds the subject from other settings and `overwrite` is false.
    """
    bundle = f"subjects/{subject}"
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return False
    store = open_store(path)
    if not store.has_bundle(bundle):
        return False
    if store.has_plan(bundle, plan):
        return True
    if overwrite:
        return False
    held = store.attrs(bundle).get("plan", {})
    changed = sorted(key for key in held | plan if held.get(key) != plan.get(key))
    raise InvalidInput(
        f"subject {subject} is there already, made with another {', '.join(changed)}",
        where=str(path / bundle),
        fix=f"add --overwrite, or mindeye store rm {path} {bundle}",
    )


def outcome_values(path: Path, subject: str) -> dict[str, Any]:
    """The contract's keys for a prepared subject, with what was dropped and what leaks."""
    attrs = open_store(path).attrs(f"subjects/{subject}")
    return {
        "subject": subject,
        **attrs["counts"],
        "dropped": attrs["dropped"]["count"],
        "leaked_images": attrs["leaked_images"],
        "release": attrs.get("release"),
    }
