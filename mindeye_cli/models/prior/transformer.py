"""The prior's transformer: shared relative bias, pre-norm layers, gated feed-forward.

Shapes: `B` batch, `N` sequence, `H` heads, `D` token width. It computes what DALLE2-pytorch's
`CausalTransformer` does: causal in the pooled model's stock prior, both ways in that of 257 tokens.
"""

from __future__ import annotations

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mindeye_cli.models.prior.attention import CosineAttention, rotary_angles
from mindeye_cli.models.prior.config import PriorConfig
from mindeye_cli.models.running import Recomputing


class RelativeBias(nn.Module):
    """One learned bias per head and bucket of distance, used by every layer.

    The buckets are one-sided as in the published network: a key at or after the query falls into
    bucket 0 although attention runs both ways, so imported weights mean the same thing here.

    Parameters
    ----------
    heads, buckets, max_distance : int
        Half of the buckets are exact distances, the rest logarithmic up to `max_distance` (T5).
    """

    def __init__(self, heads: int, buckets: int, max_distance: int) -> None:
        super().__init__()
        self.max_distance = max_distance
        self.table = nn.Embedding(buckets, heads)

    def forward(self, length: int) -> Tensor:
        """Bias of shape (H, length, length + 1); the null key counts as position 0 of the keys."""
        # The bias depends on key minus query alone: each head has 2 length - 1 different values at
        # most, and row after row is a window on them that moves by one.
        offset = torch.arange(2 * length, device=self.table.weight.device)
        values = self.table(self.bucket((length - 1 - offset).clamp_min(0)))
        windows: Tensor = values.T.unfold(1, length + 1, 1)
        return windows.flip(1)

    def bucket(self, distance: Tensor) -> Tensor:
        """Bucket of each non-negative integer distance."""
        buckets = self.table.num_embeddings
        exact = buckets // 2
        # Distances below `exact` take the other branch; the clamp only keeps the logarithm finite.
        ratio = torch.log(distance.clamp_min(1).float() / exact) / math.log(
            self.max_distance / exact
        )
        far = exact + (ratio * (buckets - exact)).long()
        return torch.where(distance < exact, distance, far.clamp_max(buckets - 1))


class FeedForward(nn.Module):
    """Pre-norm SwiGLU branch (Shazeer 2020): first half times SiLU of the second half.

    Parameters
    ----------
    width : int
        Token width `D`.
    config : PriorConfig
        Width of the hidden values over `D`, their norm and dropout.
    """

    def __init__(self, width: int, config: PriorConfig) -> None:
        super().__init__()
        mult = config.ff_mult
        self.norm = nn.LayerNorm(width, bias=False)
        self.expand = nn.Linear(width, 2 * mult * width, bias=False)
        self.inner_norm: nn.Module = nn.Identity()
        if config.inner_norm:
            self.inner_norm = nn.LayerNorm(mult * width, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        self.contract = nn.Linear(mult * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, D) to what the residual stream receives, same shape."""
        value, gate = self.expand(self.norm(x)).chunk(2, dim=-1)
        hidden = self.dropout(self.inner_norm(value * F.silu(gate)))
        out: Tensor = self.contract(hidden)
        return out


class StableNorm(nn.LayerNorm):
    """Gain-only LayerNorm of the input divided by its (detached) maximum over features.

    The division cancels but for the epsilon; it kept half precision from overflowing.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (..., D)."""
        out: Tensor = super().forward(x / x.amax(dim=-1, keepdim=True).detach())
        return out


class PriorTransformer(Recomputing):
    """Transformer over brain, time and image tokens, looking both ways or back alone.

    Parameters
    ----------
    width : int
        Token width `D`.
    config : PriorConfig
        Depth, heads and position settings.
    """

    def __init__(self, width: int, config: PriorConfig) -> None:
        super().__init__()
        self.causal = config.causal
        self.rotary_dims = min(config.rotary_dims, config.dim_head)
        self.position = RelativeBias(config.heads, config.position_buckets, config.position_max)
        self.attentions = nn.ModuleList(
            CosineAttention(width, config.heads, config.dim_head, config.dropout)
            for _ in range(config.depth)
        )
        self.feeds = nn.ModuleList(FeedForward(width, config) for _ in range(config.depth))
        self.norm = StableNorm(width, bias=False)
        self.to_out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, D) to (B, N, D)."""
        bias = self.position(x.shape[1])
        if self.causal:
            # Key j + 1 is position j, key 0 the null key, which everybody sees.
            later = torch.ones(bias.shape[1:], dtype=torch.bool, device=bias.device).triu(2)
            bias = bias.masked_fill(later, -math.inf)
        angles = rotary_angles(x.shape[1], self.rotary_dims, x.device)
        for attention, feed in zip(self.attentions, self.feeds, strict=True):
            x = x + self.piece(partial(attention, bias=bias, angles=angles), x)
            x = x + self.piece(feed, x)
        out: Tensor = self.to_out(self.norm(x))
        return out
