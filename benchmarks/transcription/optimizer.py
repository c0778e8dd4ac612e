"""AdamW as the published script builds it: no decay for names with `bias`."""

from __future__ import annotations

import torch
from torch import nn


def make_optimizer(model: nn.Module, lr: float = 3e-4) -> torch.optim.AdamW:
    """torch's default implementation, which on a CPU updates one parameter after the other."""
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    groups = [
        {"params": [p for n, p in named if "bias" not in n], "weight_decay": 0.01},
        {"params": [p for n, p in named if "bias" in n], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr)
