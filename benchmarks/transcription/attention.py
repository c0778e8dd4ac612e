"""Multi-query cosine attention, rotary positions and the gain-only norm, as documented.

Shapes: `B` batch, `N` sequence, `H` heads, `d` head width, `D` width. The einsums, the order of the
operations and the norm written out are those of the published prior's library.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

SCALE = 16.0


class GainNorm(nn.Module):
    """LayerNorm without a bias; `stable` first divides by the detached maximum."""

    def __init__(self, width: int, stable: bool = False) -> None:
        super().__init__()
        self.stable = stable
        self.g = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (..., D)."""
        if self.stable:
            x = x / x.amax(dim=-1, keepdim=True).detach()
        variance = torch.var(x, dim=-1, unbiased=False, keepdim=True)
        mean = torch.mean(x, dim=-1, keepdim=True)
        return (x - mean) * (variance + 1e-5).rsqrt() * self.g


class Rotary(nn.Module):
    """Turns neighbouring pairs of the first `dims` dimensions by the position's angle."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.register_buffer("freqs", 10000.0 ** (-torch.arange(0, dims, 2).float() / dims))

    def forward(self, x: Tensor) -> Tensor:
        """Rotate (..., N, d)."""
        positions = torch.arange(x.shape[-2], device=x.device).float()
        angles = (positions[:, None] * self.freqs).repeat_interleave(2, dim=-1)
        turned = angles.shape[-1]
        pairs, rest = x[..., :turned], x[..., turned:]
        even, odd = pairs.unflatten(-1, (-1, 2)).unbind(-1)
        swapped = torch.stack((-odd, even), dim=-1).flatten(-2)
        return torch.cat((pairs * angles.cos() + swapped * angles.sin(), rest), dim=-1)


class Attention(nn.Module):
    """Pre-norm branch; all heads share one key and one value, a learned null pair comes first."""

    def __init__(self, width: int, heads: int, dim_head: int, rotary: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = GainNorm(width)
        self.to_q = nn.Linear(width, heads * dim_head, bias=False)
        self.to_kv = nn.Linear(width, 2 * dim_head, bias=False)
        self.null_kv = nn.Parameter(torch.randn(2, dim_head))
        self.rotary_emb = Rotary(min(rotary, dim_head))
        self.to_out = nn.Sequential(nn.Linear(heads * dim_head, width, bias=False), GainNorm(width))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Map (B, N, D) to (B, N, D), with a bias (H, N, N + 1)."""
        batch, length, _ = x.shape
        x = self.norm(x)
        query = self.to_q(x).reshape(batch, length, self.heads, -1).permute(0, 2, 1, 3)
        key, value = self.to_kv(x).chunk(2, dim=-1)
        query = self.rotary_emb(query * SCALE)
        key = self.rotary_emb(key)
        null_key, null_value = (row.expand(batch, 1, -1) for row in self.null_kv.unbind())
        key = torch.cat((null_key, key), dim=1)
        value = torch.cat((null_value, value), dim=1)
        query = normalize(query, dim=-1) * SCALE**0.5
        key = normalize(key, dim=-1) * SCALE**0.5
        logits = torch.einsum("b h i d, b j d -> b h i j", query, key)
        logits = logits + bias
        weights = logits.softmax(dim=-1, dtype=torch.float32)
        out = torch.einsum("b h i j, b j d -> b h i d", weights, value)
        out = out.permute(0, 2, 1, 3).reshape(batch, length, -1)
        mixed: Tensor = self.to_out(out)
        return mixed
