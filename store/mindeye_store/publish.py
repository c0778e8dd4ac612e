"""Publication: a complete staged bundle is forced to disk and renamed into place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mindeye_store import ledger
from mindeye_store.errors import InvalidInput
from mindeye_store.files import sha256_file, sync_path, write_json
from mindeye_store.provenance import block
from mindeye_store.schema import LEDGER, OWN_KEY, SCHEMA_VERSION, ArraySpec, canonical_json
from mindeye_store.staging import Places, discard

FILES = "files.json"
GROUP = {"zarr_format": 3, "node_type": "group", "attributes": {}}


def publish(
    places: Places, specs: Sequence[ArraySpec], plan_sha256: str, attrs: Mapping[str, Any]
) -> bool:
    """Publish a staged bundle if it is complete; call with `turn` held.

    Parameters
    ----------
    places : Places
    specs : sequence of ArraySpec
        Every array of the bundle.
    plan_sha256 : str
    attrs : mapping
        Plain JSON; provenance is added.

    Returns
    -------
    bool
        False when a shard of another part is missing, and then nothing has changed.

    Raises
    ------
    InvalidInput
        The attributes are not plain JSON, or an array was staged that is not declared now.
    """
    if any(ledger.pending(places.bundle, spec, (0, 1)) for spec in specs):
        return False
    canonical_json(attrs, "attributes")
    if OWN_KEY in attrs:
        raise InvalidInput(f"the attribute {OWN_KEY!r} belongs to the store")
    names = sorted(spec.name for spec in specs)
    own = {
        "schema_version": SCHEMA_VERSION,
        "name": places.name.text,
        "plan_sha256": plan_sha256,
        "arrays": names,
    }
    _sweep(places.bundle, names)
    group = GROUP | {"attributes": {**block(attrs), OWN_KEY: own}}
    write_json(places.bundle / "zarr.json", group)
    write_file_list(places.bundle)
    _sync_tree(places.bundle)
    _move(places)
    return True


def write_file_list(folder: Path) -> None:
    """Record size and sha256 of every small file; shards have their own ledger entries."""
    small = [*folder.rglob("zarr.json"), *(folder / LEDGER).rglob("*.json")]
    listed = {
        path.relative_to(folder).as_posix(): [path.stat().st_size, sha256_file(path)]
        for path in sorted(small)
        if path != folder / LEDGER / FILES
    }
    (folder / LEDGER).mkdir(exist_ok=True)
    write_json(folder / LEDGER / FILES, {"files": listed}, sync=True)


def ensure_group(folder: Path) -> None:
    """Make a folder an empty zarr group, so that other zarr tools can walk the store."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "zarr.json").exists():
        write_json(folder / "zarr.json", GROUP)


def _sweep(bundle: Path, names: Sequence[str]) -> None:
    """Remove partial files of killed writers; refuse arrays that nobody declares any more."""
    for leftover in bundle.rglob("*.partial"):
        leftover.unlink()
    found = {p.parent.relative_to(bundle).as_posix() for p in bundle.rglob("c") if p.is_dir()}
    extra = sorted(found - set(names))
    if extra:
        raise InvalidInput(f"staged arrays {extra} are not declared", where=str(bundle))


def _sync_tree(bundle: Path) -> None:
    """Force ledger, metadata and all folders to disk; shards already are."""
    for folder, _, files in os.walk(bundle, topdown=False):
        for name in files:
            if name.endswith(".json"):
                sync_path(Path(folder, name))
        sync_path(Path(folder))


def _move(places: Places) -> None:
    parent = places.published.parent
    ensure_group(parent)
    if places.published.is_dir():
        places.published.rename(places.replaced)
    places.bundle.rename(places.published)
    sync_path(parent)
    if places.replaced.is_dir():
        shutil.rmtree(places.replaced)
    discard(places)
