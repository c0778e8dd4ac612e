"""Whether an index holds what a run predicts, before anything is computed."""

from __future__ import annotations

import numpy as np

from mindeye_cli.core.fingerprint import of_json
from mindeye_cli.core.runs import RunInfo
from mindeye_cli.reconstruct.outside_options import Outside
from mindeye_store.errors import InvalidInput


def check_index(outside: Outside, info: RunInfo) -> str:
    """Open an index for a run's embeddings; what tells its contents from others'.

    Raises
    ------
    MissingResource
        The index, a shard, the pictures' folder or an optional package is absent.
    InvalidInput
        It holds another SPACE than the run's, or rows of another width.
    UsageProblem
        Nothing tells where the pictures are, or downloads are forbidden.
    """
    manifest = outside.open(info.space).opened.manifest
    plan, width = manifest.plan, int(np.prod(info.details["target_shape"]))
    if plan.dim != width:
        raise InvalidInput(
            f"the index holds rows of {plan.dim} numbers, the run predicts {width}",
            where=str(outside.index),
            fix="give a run of the SPACE that was indexed",
        )
    shards = [(shard.name, shard.rows, shard.sha256) for shard in manifest.shards]
    return of_json({"kind": plan.kind, "codes": plan.codes, "shards": shards})
