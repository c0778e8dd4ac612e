"""What an index folder says of itself.

INDEX/plan.json          what was asked for; a build that was cut short continues it and no other
INDEX/shared/            trained once: rotation, centroids, the empty coder (inverted lists only)
INDEX/parts/NAME/        part.json with its shards and checksums; lists.faiss (inverted lists only)
INDEX/embeddings/        shards of a folder of pictures, which has none of its own
INDEX/index.json         written last: the parts that are searched and the recall that was measured
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mindeye_cli.core.atomic import write_json
from mindeye_cli.core.neighbours.shards import Shard
from mindeye_store.errors import InvalidInput, MissingResource
from mindeye_store.files import read_json

SCHEMA = "mindeye-index"
SCHEMA_VERSION = 1
INDEX, PLAN, PART = "index.json", "plan.json", "part.json"
# The record of parts whose recall is not measured yet, which nobody but the build may search.
UNCHECKED = "unchecked.json"
# Vectors of a folder of pictures, which have no shards of their own.
EMBEDDINGS, ENCODER = "embeddings", "encoder.json"
LISTS, SHARED, PARTS = "lists.faiss", "shared", "parts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What decides an index' contents.

    Attributes
    ----------
    kind : {"exact", "ivf"}
    codes : {"rabitq", "pq"}
        Of inverted lists.
    space : str or None
        The SPACE of the vectors, when it was told.
    normalised : bool
    dim : int
    lists : int
        Number of inverted lists; 0 for an exact index.
    seed : int
    """

    kind: str
    codes: str
    space: str | None
    normalised: bool
    dim: int
    lists: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One finished part: its shards in order, and the bytes that it takes."""

    name: str
    shards: tuple[Shard, ...]
    shared: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A whole index.

    Attributes
    ----------
    plan : Plan
    root : str
        The folder of shards.
    parts : tuple of Part
    settings : dict
        For "16" and "300" results: `lists` to probe and `candidates` to score again.
    check : dict
        The measured recalls, and whether they reach their targets.
    """

    plan: Plan
    root: str
    parts: tuple[Part, ...]
    settings: Mapping[str, Mapping[str, int]]
    check: Mapping[str, Any]

    @property
    def shards(self) -> tuple[Shard, ...]:
        """Every shard, in the order of the parts."""
        return tuple(shard for part in self.parts for shard in part.shards)

    @property
    def n_vectors(self) -> int:
        """Rows in all."""
        return sum(shard.rows for shard in self.shards)


def read_manifest(index: Path, record_name: str = INDEX) -> Manifest:
    """Read INDEX/index.json, or another record of an index.

    Raises
    ------
    MissingResource
        There is no index, or its build has not finished.
    InvalidInput
        The file is damaged or of another version.
    """
    file = index / record_name
    if not file.is_file():
        begun = (index / PLAN).is_file()
        raise MissingResource(
            "the index is not finished" if begun else "no index there",
            where=str(index),
            fix=f"mindeye retrieve index SHARDS {index}",
        )
    record = read_json(file)
    try:
        if (record["schema"], record["schema_version"]) != (SCHEMA, SCHEMA_VERSION):
            raise InvalidInput(
                f"{record['schema']} of version {record['schema_version']} cannot be read",
                where=str(file),
                fix="index the shards again with --overwrite",
            )
        return Manifest(
            plan=Plan(**record["plan"]),
            root=record["root"],
            parts=tuple(_part(entry) for entry in record["parts"]),
            settings=record["settings"],
            check=record["check"],
        )
    except (KeyError, TypeError) as problem:
        raise _damaged(file) from problem


def write_manifest(index: Path, manifest: Manifest, record_name: str = INDEX, **facts: Any) -> None:
    """Replace INDEX/index.json, or another record, in one step."""
    record = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **asdict(manifest), **facts}
    write_json(index / record_name, record)


def read_part(folder: Path) -> Part:
    """Read one part's record.

    Raises
    ------
    InvalidInput
        It is damaged.
    """
    try:
        return _part(read_json(folder / PART))
    except (KeyError, TypeError, FileNotFoundError) as problem:
        raise _damaged(folder / PART) from problem


def write_part(folder: Path, part: Part) -> Part:
    """Write one part's record beside its lists, and add up their bytes."""
    size = sum(path.stat().st_size for path in folder.iterdir())
    part = replace(part, bytes=size)
    write_json(folder / PART, asdict(part))
    return part


def read_plan(index: Path) -> Plan | None:
    """The plan of a finished or begun index, or None.

    Raises
    ------
    InvalidInput
        It is damaged.
    """
    if not (index / PLAN).is_file():
        return None
    try:
        return Plan(**read_json(index / PLAN))
    except TypeError as problem:
        raise _damaged(index / PLAN) from problem


def _part(entry: Mapping[str, Any]) -> Part:
    shards = tuple(Shard(**{**shard, "stamp": tuple(shard["stamp"])}) for shard in entry["shards"])
    return Part(**{**entry, "shards": shards})


def _damaged(file: Path) -> InvalidInput:
    return InvalidInput(
        "the record is damaged", where=str(file), fix="index the shards again with --overwrite"
    )
