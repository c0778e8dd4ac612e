"""Attention of many query heads over one shared key and value head, with a trainable bias.

Shapes: `B` batch, `H` heads, `N` queries, `M` keys, `d` head width.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.amp import custom_bwd, custom_fwd
from torch.autograd import Function

# Elements of the logits that a CPU works on at a time: 2 MiB of float32, which stays in the cache
# from the product to the weighted sum.
BLOCK = 2**19


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Softmax of `query key' + bias`, applied to the values.

    A GPU takes torch's fused kernel. On a CPU that kernel has no gradient of the bias and falls
    back to whole logits in memory; `BlockedAttention` was .55 of its time at (B 4, H 2, N 515,
    d 32) and .85 at (B 2, H 12, N 515, d 64), forward and backward on one thread.

    Parameters
    ----------
    query : Tensor, shape (B, H, N, d)
        Already scaled.
    key, value : Tensor, shape (B, M, d)
    bias : Tensor, shape (H, N, M)

    Returns
    -------
    Tensor, shape (B, H, N, d)
    """
    if query.device.type == "cpu":
        out: Tensor = BlockedAttention.apply(query, key, value, bias)
        return out
    heads = query.shape[1]
    shared = (x[:, None].expand(-1, heads, -1, -1) for x in (key, value))
    mask = bias.to(query.dtype)[None].expand(len(query), -1, -1, -1)
    return F.scaled_dot_product_attention(query, *shared, attn_mask=mask, scale=1.0)


class BlockedAttention(Function):
    """`attend` in blocks of one sample and a few heads, with its gradients written out."""

    @staticmethod
    @custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        """See `attend`."""
        batch, heads, length, _ = query.shape
        rows, keys = heads * length, key.shape[1]
        query, bias = query.reshape(batch, rows, -1), bias.reshape(rows, keys)
        weights, out = query.new_empty(batch, rows, keys), torch.empty_like(query)
        for sample, block in _blocks(batch, heads, length, keys):
            at = (sample, block)
            logits = torch.addmm(bias[block], query[at], key[sample].T)
            torch.softmax(logits, dim=-1, out=weights[at])
            torch.mm(weights[at], value[sample], out=out[at])
        ctx.save_for_backward(query, key, value, weights, out)
        ctx.heads = heads
        return out.view(batch, heads, length, -1)

    @staticmethod
    @custom_bwd(device_type="cpu")
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gradients of the four inputs."""
        query, key, value, weights, out = ctx.saved_tensors
        batch, rows, keys = weights.shape
        grad = grad.reshape(batch, rows, -1)
        # Rows of a softmax: the inner product of weights and their gradient is grad . out.
        inner = (grad * out).sum(dim=-1, keepdim=True)
        d_query, d_bias = torch.empty_like(query), weights.new_zeros(rows, keys)
        d_key, d_value = torch.zeros_like(key), torch.zeros_like(value)
        for sample, block in _blocks(batch, ctx.heads, rows // ctx.heads, keys):
            at = (sample, block)
            d_value[sample].addmm_(weights[at].T, grad[at])
            d_logits = torch.mm(grad[at], value[sample].T)
            d_logits.sub_(inner[at]).mul_(weights[at])
            d_bias[block].add_(d_logits)
            torch.mm(d_logits, key[sample], out=d_query[at])
            d_key[sample].addmm_(d_logits.T, query[at])
        length = rows // ctx.heads
        shape = (batch, ctx.heads, length, -1)
        return d_query.view(shape), d_key, d_value, d_bias.view(ctx.heads, length, keys)


def _blocks(batch: int, heads: int, length: int, keys: int) -> list[tuple[int, slice]]:
    """Every sample with runs of whole heads, as rows of the (H N, M) logits."""
    step = max(1, BLOCK // (length * keys)) * length
    rows = heads * length
    return [(b, slice(r, min(r + step, rows))) for b in range(batch) for r in range(0, rows, step)]
