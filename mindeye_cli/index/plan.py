"""Which parts an index has and which are still to be built.

A part is one or more shards; parts that are there keep their shards, and new shards make new parts,
so adding a shard never touches what was built.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mindeye_cli.core.atomic import refuse_existing, write_json
from mindeye_cli.core.fingerprint import of_file
from mindeye_cli.core.neighbours.manifest import (
    EMBEDDINGS,
    ENCODER,
    PART,
    PARTS,
    PLAN,
    Part,
    Plan,
    read_part,
    read_plan,
)
from mindeye_cli.core.neighbours.shards import Shard
from mindeye_cli.index.options import EXACT_ROWS, IndexOptions
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem

MIN_LISTS, MAX_LISTS = 16, 2**20


@dataclass(frozen=True, slots=True)
class Todo:
    """Finished parts, and the shards of each part to be built under its name."""

    done: tuple[Part, ...]
    todo: tuple[tuple[str, tuple[Shard, ...]], ...]


def fix_plan(options: IndexOptions, shards: list[Shard]) -> Plan:
    """Write down what is asked for, or find that the index is of another kind.

    Raises
    ------
    UsageProblem
        The index was made with other options.
    """
    there = read_plan(options.index)
    if there is None:
        plan = _new_plan(options, shards)
        write_json(options.index / PLAN, asdict(plan))
        return plan
    asked = _new_plan(options, shards)
    if options.kind == "auto":
        asked = replace(asked, kind=there.kind)
    if options.lists is None:
        asked = replace(asked, lists=there.lists)
    if there.kind == "exact":
        asked = replace(asked, codes=there.codes)
    if options.space is None:
        asked = replace(asked, space=there.space)
    for name, value in asdict(there).items():
        if asdict(asked)[name] != value:
            raise UsageProblem(
                f"the index was made with {name} {value}, not {asdict(asked)[name]}",
                where=str(options.index),
                fix="give the same options, another INDEX, or --overwrite",
            )
    return there


def default_lists(rows: int) -> int:
    """The power of two next to four times the root of the number of vectors."""
    power = round(math.log2(4 * math.sqrt(max(1, rows))))
    return min(MAX_LISTS, max(MIN_LISTS, 2**power))


def plan_parts(options: IndexOptions, shards: list[Shard]) -> Todo:
    """Compare the shards with the parts that are there.

    Raises
    ------
    InvalidInput
        A shard has changed since its part was built.
    MissingResource
        A shard of a finished part is gone.
    """
    home = options.index / PARTS
    names = sorted(path.parent.name for path in home.glob(f"*/{PART}") if ".tmp-" not in str(path))
    found = [read_part(home / name) for name in names]
    now = {shard.name: shard for shard in shards}
    done = tuple(_unchanged(options.source, part, now) for part in found)
    taken = {shard.name for part in done for shard in part.shards}
    rest = [shard for shard in shards if shard.name not in taken]
    step = options.part_shards
    groups = [tuple(rest[low : low + step]) for low in range(0, len(rest), step)]
    return Todo(done, tuple((group[0].name, group) for group in groups))


def _new_plan(options: IndexOptions, shards: list[Shard]) -> Plan:
    rows = sum(shard.rows for shard in shards)
    kind = options.kind
    if kind == "auto":
        kind = "exact" if rows < EXACT_ROWS else "ivf"
    return Plan(
        kind=kind,
        codes=options.codes,
        space=options.space,
        normalised=not options.unnormalised,
        dim=shards[0].dim,
        lists=0 if kind == "exact" else options.lists or default_lists(rows),
        seed=options.seed,
    )


def _unchanged(root: Path, part: Part, now: dict[str, Shard]) -> Part:
    """The part, when its shards are as they were."""
    for shard in part.shards:
        if shard.name not in now:
            raise MissingResource(
                "a shard of the index is absent",
                where=str(root / shard.vectors),
                fix="put it back, or index again with --overwrite",
            )
        here = now[shard.name]
        if here.stamp != shard.stamp and of_file(root / here.vectors) != shard.sha256:
            raise InvalidInput(
                "the shard has changed since it was indexed (checksum)",
                where=str(root / shard.vectors),
                fix="put the old file back, or index again with --overwrite",
            )
    return part


def open_folder(options: IndexOptions) -> None:
    """Make room for an index, or find that the folder is one.

    Raises
    ------
    UsageProblem
        The folder holds something else.
    """
    index = options.index
    if (index / PLAN).is_file() or (index / EMBEDDINGS / ENCODER).is_file():
        if options.overwrite:
            shutil.rmtree(index)
        return
    refuse_existing(index, overwrite=False)
