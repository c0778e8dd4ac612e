"""What is known of a published bundle: its attributes, arrays, plan and content fingerprint."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from mindeye_store import ledger
from mindeye_store.arrays import open_array, spec_of
from mindeye_store.errors import InvalidInput
from mindeye_store.files import read_json, sha256_file
from mindeye_store.schema import MEND, OWN_KEY, ArraySpec


def attributes(bundle: Path) -> dict[str, Any]:
    """Return all attributes of a published bundle, the store's own key included.

    Raises
    ------
    FileNotFoundError
        There is no such bundle.
    InvalidInput
        Its group metadata is damaged.
    """
    place = bundle / "zarr.json"
    attrs = read_json(place).get("attributes")
    if not isinstance(attrs, dict) or not isinstance(attrs.get(OWN_KEY), dict):
        raise InvalidInput("not a bundle of a mindeye store", where=str(place), fix=MEND)
    return attrs


def own_attributes(bundle: Path) -> dict[str, Any]:
    """Return what the store itself recorded: name, plan hash, names of the arrays."""
    own = attributes(bundle)[OWN_KEY]
    assert isinstance(own, dict)
    return own


def user_attributes(bundle: Path) -> dict[str, Any]:
    """Return the attributes that the bundle's maker gave, provenance included."""
    return {key: value for key, value in attributes(bundle).items() if key != OWN_KEY}


def plan_of(bundle: Path) -> str | None:
    """Return the hash of a published bundle's plan, or nothing when it is not published."""
    try:
        return str(own_attributes(bundle).get("plan_sha256"))
    except FileNotFoundError:
        return None


def array_names(bundle: Path) -> list[str]:
    """Return the names of a bundle's arrays, sorted."""
    names = own_attributes(bundle).get("arrays")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidInput("the list of arrays is damaged", where=str(bundle), fix=MEND)
    return sorted(names)


def array_spec(bundle: Path, name: str) -> ArraySpec:
    """Return the description of one array."""
    return spec_of(open_array(bundle, name), bundle, name)


def fingerprint(bundle: Path) -> str:
    """Return a sha256 over the stored arrays alone: equal for equal content at any time and place.

    Taken from the ledger, so no array is read.
    """
    digest = hashlib.sha256()
    for name in array_names(bundle):
        digest.update(f"{name} {sha256_file(bundle / name / 'zarr.json')}\n".encode())
        for shard in range(array_spec(bundle, name).n_shards):
            entry = ledger.read_entry(bundle, name, shard)
            if entry is None:
                raise InvalidInput(
                    f"shard {shard} is not in the ledger", where=str(bundle / name), fix=MEND
                )
            digest.update(f"{shard} {entry.sha256}\n".encode())
    return digest.hexdigest()


def group_folders(folder: Path) -> list[Path]:
    """Return the folders in a folder that are zarr groups, sorted by name."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if (p / "zarr.json").is_file())
