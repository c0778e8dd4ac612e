"""Rows of all processes in one batch, with gradients that flow back to where the rows came from.

Every process computes the same contrastive loss of the whole batch. The gradients of its copies
are summed on the way back, so each process receives `processes` times its rows' gradient; the
average that DistributedDataParallel takes over processes divides by the same number.

Shapes: `b` this process's rows, `B` all rows, `F` features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional


class _Gather(torch.autograd.Function):
    """All-gather of equally large blocks; backward sums over processes and keeps the own block."""

    @staticmethod
    def forward(ctx: Any, block: Tensor) -> Tensor:
        blocks = [torch.empty_like(block) for _ in range(dist.get_world_size())]
        dist.all_gather(blocks, block.contiguous())
        return torch.stack(blocks)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous()
        dist.all_reduce(total)
        return total[dist.get_rank()]


def gather_rows(rows: Tensor, sizes: Sequence[int]) -> Tensor:
    """Rows of every process, in the order of their ranks.

    Parameters
    ----------
    rows : Tensor, shape (b, F)
        Of this process.
    sizes : sequence of int
        Number of rows of every process; one entry outside a launcher.

    Returns
    -------
    Tensor, shape (B, F)
    """
    if len(sizes) == 1:
        return rows
    longest = max(sizes)
    blocks: Tensor = _Gather.apply(functional.pad(rows, (0, 0, 0, longest - len(rows))))
    return torch.cat([block[:size] for block, size in zip(blocks, sizes, strict=True)])
