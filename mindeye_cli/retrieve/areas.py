"""What retrieval is left with when the decoder reads some areas only, beside random voxels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mindeye_cli.core import retrieval_scores as scores
from mindeye_cli.core.kept_voxels import Mask
from mindeye_cli.retrieve.embeddings import Comparison
from mindeye_cli.retrieve.pool import DIRECTIONS, draw_pools

CONTROLS = 20


def readout_values(
    areas: tuple[str | None, str | None],
    kept: Mask,
    controls: Sequence[Comparison],
    pools: tuple[int, int, int],
    matched: str,
) -> dict[str, Any]:
    """What was kept, and top-1 of the random controls in the same pools.

    Parameters
    ----------
    areas : (keep, drop)
        As given on the command line.
    kept : bool array (V,)
    controls : sequence of Comparison
        Of random voxels.
    pools : (pool, draws, seed)
    matched : str
        What the controls are alike in.
    """
    top: dict[str, list[float]] = {direction: [] for direction in DIRECTIONS}
    for control in controls:
        drawn = draw_pools(control.similarity, control.image_of_row, *pools)
        for direction, found in drawn.items():
            top[direction].append(float(scores.expected_top(found.above, found.tied, 1).mean()))
    return {
        "question": "needed by decoder",
        "keep": areas[0],
        "drop": areas[1],
        "voxels": int(kept.sum()),
        "of": len(kept),
        "controls": {
            "draws": len(controls),
            "matched": matched,
            **{
                direction: {
                    "top1": float(np.mean(values)),
                    "range95": [float(q) for q in np.quantile(values, [0.025, 0.975])],
                }
                for direction, values in top.items()
            },
        },
    }
