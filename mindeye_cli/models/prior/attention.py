"""Multi-query cosine attention with a null key, rotary positions and an additive position bias.

Shapes: `B` batch, `N` sequence, `H` heads, `d` head width, `D` token width. The published prior
takes this attention from DALLE2-pytorch (`Attention` with `cosine_sim=True`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mindeye_cli.models.prior.shared_head import attend

COSINE_SCALE = 16.0  # logits are 16 cos(q, k): each of q and k is normalised to length 4


def rotary_rates(dims: int, device: torch.device) -> Tensor:
    """Radians per position, 10000^(-2i/dims), shape (dims / 2,) (Su et al. 2021, RoFormer)."""
    return 10000.0 ** (-torch.arange(0, dims, 2, device=device, dtype=torch.float32) / dims)


def rotary_angles(length: int, dims: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine of position times rate, each of shape (length, dims / 2)."""
    positions = torch.arange(length, device=device, dtype=torch.float32)
    angles = positions[:, None] * rotary_rates(dims, device)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Turn neighbouring pairs of the first dimensions of x (..., N, d) by the position's angle."""
    cos, sin = angles
    turned = 2 * cos.shape[-1]
    even, odd = x[..., :turned].unflatten(-1, (-1, 2)).unbind(-1)
    pairs = torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1)
    return torch.cat((pairs.flatten(-2), x[..., turned:]), dim=-1)


class CosineAttention(nn.Module):
    """Pre-norm attention branch: `heads` queries share one key and one value head.

    Parameters
    ----------
    width, heads, dim_head : int
        Token width `D`, number of query heads `H`, width of a head `d`.
    dropout : float
        Of the attention weights, while training.
    """

    def __init__(self, width: int, heads: int, dim_head: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm = nn.LayerNorm(width, bias=False)
        self.to_query = nn.Linear(width, heads * dim_head, bias=False)
        self.to_key_value = nn.Linear(width, 2 * dim_head, bias=False)
        self.null_key_value = nn.Parameter(torch.randn(2, dim_head))
        self.to_out = nn.Linear(heads * dim_head, width, bias=False)
        self.out_norm = nn.LayerNorm(width, bias=False)

    def forward(self, x: Tensor, bias: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        """What the residual stream receives.

        Parameters
        ----------
        x : Tensor, shape (B, N, D)
        bias : Tensor, shape (H, N, N + 1)
            Added to the logits, -inf where a query must not look; key 0 is the null key.
        angles : pair of Tensor, shape (N, rotary dims / 2)
            From `rotary_angles`; the null key is not rotated.

        Returns
        -------
        Tensor, shape (B, N, D)
        """
        batch, length, _ = x.shape
        x = self.norm(x)
        query = self.to_query(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        key, value = self.to_key_value(x).chunk(2, dim=-1)
        query, key = rotate(query, angles), rotate(key, angles)
        null_key, null_value = self.null_key_value[:, None, None].expand(-1, batch, 1, -1)
        key = F.normalize(torch.cat((null_key, key), dim=1), dim=-1)
        value = torch.cat((null_value.to(value.dtype), value), dim=1)
        query = F.normalize(query, dim=-1) * COSINE_SCALE
        mixed = attend(query, key, value, bias, self.dropout if self.training else 0.0)
        out: Tensor = self.out_norm(self.to_out(mixed.transpose(1, 2).flatten(2)))
        return out
