"""The optimiser, and its learning rate and momentum at every step, known before the first one.

Shapes: `S` steps.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mindeye_cli.train.config import OptimConfig


def make_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """AdamW in one fused pass, without weight decay on biases and the relative position bias.

    The published rule asks for `bias` in a parameter's name, so norm gains decay. The table of the
    relative position bias has that word in its published name alone.
    """
    named = list(model.named_parameters())
    plain = [p for name, p in named if _spared(name)]
    decayed = [p for name, p in named if not _spared(name)]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}]
    if plain:
        groups.append({"params": plain, "weight_decay": 0.0})
    return torch.optim.AdamW(groups, lr=config.lr, fused=True)


def _spared(name: str) -> bool:
    return "bias" in name or name.endswith("position.table.weight")


def schedule(config: OptimConfig, steps: int) -> NDArray[np.float64]:
    """Learning rate and first Adam coefficient of every step.

    Read once from torch's own one-cycle schedule, so that a step's values depend on its number
    alone and nothing about the schedule needs to be saved.

    Returns
    -------
    float64 array (S, 2)
    """
    probe = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=config.lr)
    # Two steps are the least that torch's schedule can describe, and a rise of exactly one step has
    # no length that it could divide by: the first step is then at the peak.
    total, warmup = max(steps, 2), config.warmup
    if float(warmup * total) == 1.0:
        warmup *= 1.0 - 1e-9
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        probe,
        max_lr=config.lr,
        total_steps=total,
        pct_start=warmup,
        final_div_factor=1000,
    )
    table = np.empty((steps, 2))
    for step in range(steps):
        group = probe.param_groups[0]
        table[step] = group["lr"], group["betas"][0]
        probe.step()
        if step + 1 < steps:
            cycle.step()
    return table


def set_step(optimizer: torch.optim.Optimizer, row: NDArray[np.float64]) -> None:
    """Put one step's learning rate and first coefficient into every group."""
    for group in optimizer.param_groups:
        group["lr"] = float(row[0])
        group["betas"] = (float(row[1]), group["betas"][1])
