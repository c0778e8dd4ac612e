"""Remove a bundle: out of readers' sight by one rename, then from the disk."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from mindeye_store.errors import InvalidInput, MissingResource
from mindeye_store.files import disk_errors
from mindeye_store.published import group_folders
from mindeye_store.schema import BundleName, bundle_name, decode, encode
from mindeye_store.staging import TURN_WAIT_S, Places, discard, part_lock


def remove(store: Path, name: str) -> None:
    """Remove a subject, a target space or one segment of it; see `Store.remove`."""
    if name.partition("/")[0] == "images":
        raise InvalidInput(
            "images cannot be removed: subjects and targets count on their rows",
            where=name,
            fix="prepare a new store",
        )
    names = _bundles(store, name)
    for found in names:
        _remove_one(Places(store, found))
    for folder in {(store / found.folder).parent for found in names if found.kind == "targets"}:
        if not group_folders(folder):
            shutil.rmtree(folder, ignore_errors=False)


def _bundles(store: Path, name: str) -> list[BundleName]:
    """Return the bundles that a name stands for: a whole space when there is one of that name."""
    kind, _, rest = name.partition("/")
    space = store / "targets" / encode(rest)
    if kind == "targets" and rest and space.is_dir():
        segments = [decode(p.name) for p in group_folders(space)]
        if segments:
            return [bundle_name(f"{name}/{segment}") for segment in segments]
    found = bundle_name(name)
    places = Places(store, found)
    if not places.published.is_dir() and not places.staging.is_dir():
        raise MissingResource(f"the store has no {name}", where=str(store))
    return [found]


def _remove_one(places: Places) -> None:
    turn = places.turn()
    turn.acquire(wait_s=TURN_WAIT_S)
    with turn, disk_errors(places.published), part_lock(places, (0, 1), "remove"):
        if places.published.is_dir():
            places.staging.mkdir(parents=True, exist_ok=True)
            (places.staging / "plan.json").unlink(missing_ok=True)
            places.published.rename(places.staging / f"removed-{uuid.uuid4().hex}")
        discard(places)
