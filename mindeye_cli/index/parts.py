"""Building one part: its shards are read once, checked, hashed and turned into codes.

This runs in the command's process or on a worker, from names of files alone.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from mindeye_cli.core.atomic import staged_dir
from mindeye_cli.core.neighbours.coder import Coder, load_coder
from mindeye_cli.core.neighbours.collection import Collection
from mindeye_cli.core.neighbours.manifest import LISTS, PARTS, SHARED, Part, Plan, write_part
from mindeye_cli.core.neighbours.shards import Shard
from mindeye_cli.core.threads import apply_threads
from mindeye_cli.index.check import WholeRead
from mindeye_store.files import disk_errors


def build_part(index: Path, root: Path, plan: Plan, name: str, shards: tuple[Shard, ...]) -> Part:
    """Build a part and put it under its name in one step.

    Parameters
    ----------
    index, root : Path
        The index, and the folder of shards.
    plan : Plan
    name : str
        Of the part.
    shards : tuple of Shard

    Returns
    -------
    Part

    Raises
    ------
    InvalidInput
        A row is not finite, or not normalised.
    PartialResult
        The disk is full.
    """
    apply_threads()
    collection = Collection(root, shards, plan.normalised)
    coder = load_coder(index / SHARED) if plan.kind == "ivf" else None
    with disk_errors(index), staged_dir(index / PARTS / name, overwrite=True) as folder:
        hashed = tuple(_add(collection, place, coder) for place in range(len(shards)))
        if coder is not None:
            coder.write_lists(folder / LISTS)
        fingerprint = "" if coder is None else coder.fingerprint
        part = Part(name=name, shards=hashed, shared=fingerprint, bytes=0)
        return write_part(folder, part)


def _add(collection: Collection, place: int, coder: Coder | None) -> Shard:
    """Read one shard, code it, and return it with its checksum."""
    whole = WholeRead(collection, place)
    first = int(collection.starts[place])
    for low, block in whole.blocks():
        if coder is not None:
            coder.add(block.numpy(), np.arange(len(block), dtype=np.int64) + first + low)
    return replace(collection.shards[place], sha256=whole.sha256)
