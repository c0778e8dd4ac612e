"""What a run needs before it starts: parameters, and bytes for weights, training and data."""

from __future__ import annotations

from typing import Any

from torch import nn

from mindeye_cli.train.config import LoopConfig, OptimConfig

# AdamW keeps two moments beside weights and gradients, all of them float32.
BYTES = 4


def plan(
    model: nn.Module, optim: OptimConfig, loop: LoopConfig, data_bytes: int, steps: int
) -> dict[str, Any]:
    """Count a network that may live on the meta device.

    Parameters
    ----------
    model : Module
    optim, loop : OptimConfig, LoopConfig
        Decide how many copies of the weights are kept.
    data_bytes : int
        Responses and targets held in memory.
    steps : int
        Optimiser steps of the whole run.

    Returns
    -------
    dict
        `parameters` (trainable), `by_part`, `steps` and `bytes`: `weights`, `gradients`,
        `moments`, `copies` (averaged and best weights), `data`, `total` (without activations).
    """
    by_part: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        part = name.partition(".")[0]
        by_part[part] = by_part.get(part, 0) + parameter.numel()
    weights = BYTES * sum(by_part.values())
    copies = weights * ((optim.ema > 0.0) + (loop.select == "best"))
    needs = {
        "weights": weights,
        "gradients": weights,
        "moments": 2 * weights,
        "copies": copies,
        "data": data_bytes,
    }
    return {
        "parameters": sum(by_part.values()),
        "by_part": by_part,
        "planned_steps": steps,
        "bytes": {**needs, "total": sum(needs.values())},
    }
