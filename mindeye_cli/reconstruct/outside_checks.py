"""Whether an index holds what a run predicts, before anything is computed."""

from __future__ import annotations

import logging

import numpy as np

from mindeye_cli.core.fingerprint import of_json
from mindeye_cli.core.neighbours.metadata import column_names
from mindeye_cli.core.neighbours.pictures import Pictures
from mindeye_cli.core.neighbours.search import open_index
from mindeye_cli.core.runs import RunInfo
from mindeye_cli.reconstruct.outside_options import Outside
from mindeye_store.errors import InvalidInput


def check_index(outside: Outside, info: RunInfo) -> str:
    """Open an index for a run's embeddings; what tells its contents from others'.

    Raises
    ------
    MissingResource
        The index, a shard or an optional package is absent.
    InvalidInput
        It holds another SPACE than the run's, or a shard has changed.
    """
    opened = open_index(outside.index)
    plan, width = opened.manifest.plan, int(np.prod(info.details["target_shape"]))
    space = plan.space or info.space
    if plan.space is None:
        logging.getLogger("mindeye").warning(
            "the index does not tell its SPACE: only the width of vectors is compared"
        )
    if (space.removesuffix(":pooled"), plan.dim) != (info.space.removesuffix(":pooled"), width):
        raise InvalidInput(
            f"the index holds {plan.space or 'rows'} of width {plan.dim},"
            f" the run predicts {info.space} of width {width}",
            where=str(outside.index),
            fix=f"mindeye train high-level STORE RUN --space {space}",
        )
    Pictures(outside.pictures, outside.download, column_names(opened.collection))
    shards = [(shard.name, shard.rows, shard.sha256) for shard in opened.manifest.shards]
    return of_json({"kind": plan.kind, "codes": plan.codes, "shards": shards})
