"""Create and open a store: the only place that looks at its schema version."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from mindeye_store.errors import InvalidInput, MissingResource
from mindeye_store.files import disk_errors, read_json, write_json
from mindeye_store.provenance import block
from mindeye_store.publish import GROUP, ensure_group, write_file_list
from mindeye_store.readers import check_kind
from mindeye_store.schema import KINDS, LOCKS, OWN_KEY, SCHEMA_VERSION, STAGING
from mindeye_store.store import Store


def create_store(path: str | Path, *, reader: str = "auto") -> Store:
    """Create a store where there is none, and open it.

    Parameters
    ----------
    path : path-like
        Made with its parents when absent. A store that is there is opened as it is.
    reader : str
        See `open_store`.

    Raises
    ------
    InvalidInput
        Something else is there, or a store of another schema version.
    """
    place = Path(path)
    if not (place / "zarr.json").exists():
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise InvalidInput("there is something that is no store", where=str(place))
        with disk_errors(place):
            _make(place)
    return open_store(place, reader=reader)


def open_store(path: str | Path, *, reader: str = "auto") -> Store:
    """Open a store.

    Parameters
    ----------
    path : path-like
    reader : {"auto", "preload", "map", "direct", "zarr", "tensorstore"}
        How rows are read: `preload` loads an array at its first read, `auto` keeps rows in RAM
        where the whole array fits a quarter of what is free, else takes `direct`. That one, and
        `map`, read rows in the files where they lie in them as they are, and through zarr where
        they do not (compressed arrays).

    Raises
    ------
    MissingResource
        There is no such folder.
    InvalidInput
        It is no store, or one of another schema version.
    """
    place = Path(path)
    kind = check_kind(reader)
    if not place.is_dir():
        raise MissingResource("there is no store", where=str(place), fix="mindeye prepare --help")
    try:
        own = read_json(place / "zarr.json").get("attributes", {}).get(OWN_KEY, {})
        found = own["schema_version"]
    except (FileNotFoundError, KeyError, AttributeError, TypeError) as error:
        raise InvalidInput("not a mindeye store", where=str(place)) from error
    if found != SCHEMA_VERSION:
        raise InvalidInput(
            f"the store has schema version {found}, this program reads {SCHEMA_VERSION}",
            where=str(place),
            fix="use the version of mindeye that made it, or prepare it again elsewhere",
        )
    return Store(place, kind)


def _make(place: Path) -> None:
    """Build an empty store beside its place and rename it; losing a race to another is fine."""
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f"{place.name}.tmp-{uuid.uuid4().hex}")
    for name in KINDS:
        ensure_group(beside / name)
    for name in (STAGING, LOCKS):
        (beside / name).mkdir()
    own = {"schema_version": SCHEMA_VERSION, **block()}
    write_json(beside / "zarr.json", GROUP | {"attributes": {OWN_KEY: own}}, sync=True)
    write_file_list(beside)
    try:
        beside.rename(place)
    except OSError:
        shutil.rmtree(beside)
        if not (place / "zarr.json").exists():
            raise
