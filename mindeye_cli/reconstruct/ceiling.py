"""The generator's ceiling: it is given the true embeddings of what it is to draw.

What stands beside a reconstruction to tell the generator's losses from the brain's, and must never
be taken for one. The manifest names the control, every PNG says `mindeye-control: ceiling` in its
text chunk, the tensor of `images.safetensors` is called `ceiling`, and `mindeye evaluate` refuses
to score such pictures as a reconstruction.

Shapes: `N` items, `K` candidates, `T` tokens, `D` width, `C h w` a latent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.core.norms import impose_norm
from mindeye_cli.core.runs import RunInfo, differs
from mindeye_cli.models.decoders.base import Floats
from mindeye_cli.reconstruct.plan import Item, spread
from mindeye_store.errors import InvalidInput

CEILING = "ceiling"


def true_targets(store: Any, space: str, items: tuple[Item, ...]) -> Floats:
    """Targets of the items' own images, float32 (N, ...)."""
    rows = np.array([item.image_row for item in items], dtype=np.int64)
    return np.asarray(store.target(space).read(rows), dtype=np.float32)


def true_semantic(
    store: Any, run: dict[str, Any], items: tuple[Item, ...], norm: str
) -> tuple[Floats, Floats]:
    """What `conditions.semantic` returns, from the true embeddings."""
    true = true_targets(store, str(run["space"]), items)
    return spread(impose_norm(true, norm), items), true


def check_targets(store: Any, run: RunInfo, path: Path) -> None:
    """Refuse true embeddings of another encoder than the one whose run stands beside them.

    Raises
    ------
    InvalidInput, MissingResource
        The store has others, or none.
    """
    found = str(store.target(run.space).attrs["fingerprint"])
    if differs(run.targets, found, f"encoder of {run.space}"):
        raise InvalidInput(
            f"the run was trained on {run.space} of another encoder than the store's",
            where=str(path),
            fix="prepare the targets and train the run again",
        )
