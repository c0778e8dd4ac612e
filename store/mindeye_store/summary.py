"""What is in a store, as plain JSON, from metadata and ledgers alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mindeye_store.files import read_json
from mindeye_store.lock import held_locks
from mindeye_store.owner import state_of
from mindeye_store.published import array_names, array_spec, attributes, group_folders
from mindeye_store.schema import LOCKS, OWN_KEY, STAGING, decode


def bundles(store: Path) -> list[Path]:
    """Return the folders of every published bundle, images first."""
    spaces = group_folders(store / "targets")
    targets = [folder for space in spaces for folder in group_folders(space)]
    return [*group_folders(store / "images"), *group_folders(store / "subjects"), *targets]


def describe(store: Path) -> dict[str, Any]:
    """Describe a store.

    Returns
    -------
    dict
        `schema_version`, `created_utc`, `n_images`, `subjects`, `spaces`, `arrays` (list of
        `name`, `shape`, `dtype`, `shards`, `bytes` on disk), `staged` (bundles under way) and
        `locks` (who holds them).
    """
    own = read_json(store / "zarr.json")["attributes"][OWN_KEY]
    arrays = [_array(folder, name) for folder in bundles(store) for name in array_names(folder)]
    pixels = [a for a in arrays if a["name"].startswith("images/") and _leaf(a) == "pixels"]
    return {
        "schema_version": own["schema_version"],
        "created_utc": own["created_utc"],
        "n_images": sum(array["shape"][0] for array in pixels),
        "subjects": [decode(p.name) for p in group_folders(store / "subjects")],
        "spaces": [decode(p.name) for p in group_folders(store / "targets") if group_folders(p)],
        "bytes": sum(array["bytes"] for array in arrays),
        "arrays": arrays,
        "staged": _staged(store),
        "locks": _locks(store),
    }


def _array(folder: Path, name: str) -> dict[str, Any]:
    spec = array_spec(folder, name)
    paths = [folder / spec.shard_key(shard) for shard in range(spec.n_shards)]
    return {
        "name": f"{attributes(folder)[OWN_KEY]['name']}/{name}",
        "shape": list(spec.shape),
        "dtype": spec.dtype,
        "shards": spec.n_shards,
        "bytes": sum(path.stat().st_size for path in paths if path.exists()),
    }


def _leaf(array: dict[str, Any]) -> str:
    return str(array["name"]).rpartition("/")[2]


def _staged(store: Path) -> list[str]:
    folder = store / STAGING
    found = folder.iterdir() if folder.is_dir() else []
    return sorted(decode(p.name) for p in found if (p / "bundle").is_dir())


def _locks(store: Path) -> list[dict[str, Any]]:
    folder = store / LOCKS
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [
        {"name": f"{decode(p.name)}:{name}", "state": state_of(owner), **owner.as_dict()}
        for p in found
        for name, owner in held_locks(p).items()
    ]
