"""One index built by several processes, such as the tasks of a SLURM array (`--shard I/N`).

Each builds every N-th part under a lock of its own; the lock of the whole index is held to train
the centroids once, and at the end by the last process, which finds every part there, checks the
recall and publishes.
"""

from __future__ import annotations

from mindeye_cli.core.neighbours.manifest import Plan
from mindeye_cli.core.neighbours.shards import Shard
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.index.build import (
    BUILD,
    LOCKS,
    WAIT_S,
    build_parts,
    conclude,
    finished,
    outcome_of,
)
from mindeye_cli.index.options import IndexOptions
from mindeye_cli.index.plan import plan_parts, share_of
from mindeye_store.files import disk_errors
from mindeye_store.lock import Lock


def build_share(options: IndexOptions, plan: Plan, shards: list[Shard]) -> Outcome:
    """Build this process's parts, and publish the index when no other part is missing.

    Parameters
    ----------
    options : IndexOptions
    plan : Plan
    shards : list of Shard
        All of the collection.

    Returns
    -------
    Outcome
        As of `build_index`; `complete` tells whether the index is published.

    Raises
    ------
    StoreLocked
        Another process builds this share, or the whole index.
    """
    index, count = options.shard
    name = f"{index}-of-{count}"
    with disk_errors(options.index):
        if plan.kind == "ivf":
            from mindeye_cli.index.shared import fix_coder

            with _taken(options, BUILD, WAIT_S):
                fix_coder(options, plan, shards)
        with _taken(options, name, 0.0):
            mine = share_of(options, shards, plan_parts(options, shards))
            built = build_parts(options, plan, mine)
        with _taken(options, BUILD, WAIT_S):
            todo = plan_parts(options, shards)
            if todo.todo:
                values = {"kind": plan.kind, "built": len(built), "complete": False}
                return Outcome(outputs=(options.index,), values=values)
            # Of two that end together the second finds what the first has published.
            manifest = finished(options, plan, todo) or conclude(options, plan, todo.done, [])
    return outcome_of(options, manifest, len(built))


def _taken(options: IndexOptions, name: str, wait_s: float) -> Lock:
    lock = Lock(options.index / LOCKS, name, str(options.index))
    lock.acquire(wait_s=wait_s)
    return lock
