"""Recompute every checksum of a store and account for every file in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mindeye_store import ledger
from mindeye_store.errors import InvalidInput
from mindeye_store.files import read_json, sha256_file
from mindeye_store.opening import open_store
from mindeye_store.publish import FILES, GROUP
from mindeye_store.published import array_names, array_spec, group_folders
from mindeye_store.schema import KINDS, LEDGER, LOCKS, STAGING, ArraySpec
from mindeye_store.summary import bundles

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong in a store.

    Attributes
    ----------
    kind : str
        ``missing``, ``size``, ``checksum``, ``foreign`` or ``damaged``.
    where : str
        Path inside the store.
    message : str
    """

    kind: str
    where: str
    message: str

    def as_dict(self) -> dict[str, str]:
        """Return plain JSON."""
        return asdict(self)


def verify_store(path: str | Path, *, progress: Progress | None = None) -> list[Problem]:
    """Check every published file; staged work and locks are left alone.

    Parameters
    ----------
    path : path-like
    progress : callable, optional
        Called with the bytes that were just checked.

    Returns
    -------
    list of Problem
        Empty for a sound store.

    Raises
    ------
    MissingResource, InvalidInput
        There is no store, or it is not readable as one; see `open_store`.
    """
    store = open_store(path).path
    told = progress or (lambda size: None)
    problems = [*_listed(store, store, told), *_outer(store)]
    for folder in bundles(store):
        problems += _bundle(store, folder, told)
    return problems


def published_bytes(path: str | Path) -> int:
    """Return the size of every published file: what `verify_store` will report as progress."""
    files = (p for folder in bundles(Path(path)) for p in folder.rglob("*") if p.is_file())
    return sum(p.stat().st_size for p in files)


def _bundle(store: Path, folder: Path, told: Progress) -> Iterator[Problem]:
    where = folder.relative_to(store).as_posix()
    yield from _listed(store, folder, told)
    try:
        known = {f"{LEDGER}/{FILES}", *_file_list(folder)}
        specs = [array_spec(folder, name) for name in array_names(folder)]
    except (InvalidInput, FileNotFoundError) as error:
        # Without its lists and descriptions nothing else in the bundle can be judged.
        yield Problem("damaged", where, str(error))
        return
    for spec in specs:
        for shard in range(spec.n_shards):
            known.add(spec.shard_key(shard))
            yield from _shard(store, folder, spec, shard, told)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).as_posix() not in known:
            yield Problem("foreign", _inside(store, path), "not a file of this store")


def _shard(
    store: Path, folder: Path, spec: ArraySpec, shard: int, told: Progress
) -> Iterator[Problem]:
    path = folder / spec.shard_key(shard)
    try:
        entry = ledger.read_entry(folder, spec.name, shard)
    except InvalidInput as error:
        yield Problem("damaged", _inside(store, path), error.message)
        return
    if entry is None or entry.rows != spec.span(shard):
        yield Problem("missing", _inside(store, path), "the shard is not in the ledger")
        return
    yield from _compare(store, path, entry.size, entry.sha256, told)


def _listed(store: Path, folder: Path, told: Progress) -> Iterator[Problem]:
    """Check the small files of a folder against their list."""
    try:
        listed = _file_list(folder)
    except InvalidInput as error:
        yield Problem("damaged", _inside(store, folder / LEDGER / FILES), error.message)
        return
    for name, (size, digest) in listed.items():
        yield from _compare(store, folder / name, size, digest, told)
    if not listed:
        yield Problem("missing", _inside(store, folder / LEDGER / FILES), "no list of files")


def _file_list(folder: Path) -> dict[str, Any]:
    try:
        files = read_json(folder / LEDGER / FILES).get("files")
    except FileNotFoundError:
        return {}
    if not isinstance(files, dict):
        raise InvalidInput("the list of files is damaged", where=str(folder))
    return files


def _compare(store: Path, path: Path, size: int, digest: str, told: Progress) -> Iterator[Problem]:
    where = _inside(store, path)
    if not path.is_file():
        yield Problem("missing", where, "the file is missing")
    elif path.stat().st_size != size:
        found = path.stat().st_size
        yield Problem("size", where, f"{found} bytes instead of {size}")
    elif sha256_file(path) != digest:
        yield Problem("checksum", where, "the bytes have changed since they were written")
    else:
        told(size)


def _outer(store: Path) -> Iterator[Problem]:
    """Account for what lies around the bundles."""
    groups = [*(store / kind for kind in KINDS), *group_folders(store / "targets")]
    for folder in groups:
        # An empty group of the store's own is always the same few bytes.
        if _group(folder) != GROUP:
            yield Problem("damaged", _inside(store, folder / "zarr.json"), "not the group's file")
        for path in sorted(folder.iterdir() if folder.is_dir() else []):
            if path.name != "zarr.json" and not (path / "zarr.json").is_file():
                yield Problem("foreign", _inside(store, path), "not a part of this store")
    known = {"zarr.json", LEDGER, STAGING, LOCKS, *KINDS}
    for path in sorted(store.iterdir()):
        if path.name not in known:
            yield Problem("foreign", path.name, "not a part of this store")


def _group(folder: Path) -> dict[str, Any] | None:
    try:
        return read_json(folder / "zarr.json")
    except (FileNotFoundError, InvalidInput):
        return None


def _inside(store: Path, path: Path) -> str:
    return path.relative_to(store).as_posix()
