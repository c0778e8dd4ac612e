"""The trained centroids of an index: made once, or taken over from another index."""

from __future__ import annotations

import logging
import shutil

from mindeye_cli.core.atomic import staged_dir
from mindeye_cli.core.neighbours.coder import RECORD, load_coder, train_coder
from mindeye_cli.core.neighbours.collection import Collection
from mindeye_cli.core.neighbours.manifest import SHARED, Plan, read_plan
from mindeye_cli.core.neighbours.shards import Shard
from mindeye_cli.core.threads import apply_threads
from mindeye_cli.index.options import IndexOptions
from mindeye_cli.index.sample import record_of, training_sample
from mindeye_store.errors import MissingResource, UsageProblem

logger = logging.getLogger("mindeye")


def fix_coder(options: IndexOptions, plan: Plan, shards: list[Shard]) -> None:
    """Train the centroids, unless they are there.

    Raises
    ------
    UsageProblem
        The other index has lists of another number, width or kind.
    """
    home = options.index / SHARED
    if (home / RECORD).is_file():
        return
    if options.centroids is not None:
        _take_over(options, plan)
        return
    apply_threads()
    collection = Collection(options.source, shards, plan.normalised)
    sample = training_sample(collection, plan.lists, plan.seed)
    logger.info("training %d lists on %d rows", plan.lists, len(sample))
    train_coder(home, plan, sample, record_of(shards, plan.seed))


def _take_over(options: IndexOptions, plan: Plan) -> None:
    other = options.centroids
    assert other is not None
    theirs = read_plan(other)
    if theirs is None or theirs.kind != "ivf":
        raise MissingResource("no centroids there", where=str(other), fix="check --centroids")
    if (theirs.dim, theirs.lists, theirs.codes) != (plan.dim, plan.lists, plan.codes):
        raise UsageProblem(
            f"the centroids are {theirs.lists} of {theirs.dim} numbers for {theirs.codes},"
            f" not {plan.lists} of {plan.dim} for {plan.codes}",
            where=str(other),
            fix=f"--lists {theirs.lists} --codes {theirs.codes}",
        )
    load_coder(other / SHARED)
    with staged_dir(options.index / SHARED, overwrite=True) as folder:
        shutil.copytree(other / SHARED, folder, dirs_exist_ok=True)
