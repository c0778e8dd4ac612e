"""The diffusion prior's network and schedule, as documented: `net` and `noise_scheduler`.

Shapes: `B` batch, `T` tokens, `D` width, `N` = 2T + 1 sequence, `H` heads, `d` head width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from transcription.attention import Attention, GainNorm
from transcription.sizes import Sizes


class SwiGLU(nn.Module):
    """First half of the features times SiLU of the second half."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., 2F) to (..., F)."""
        value, gate = x.chunk(2, dim=-1)
        return value * nn.functional.silu(gate)


class RelPosBias(nn.Module):
    """T5's buckets in their one-sided form, one table for all layers."""

    def __init__(self, buckets: int, heads: int, max_distance: int = 128) -> None:
        super().__init__()
        self.buckets, self.max_distance = buckets, max_distance
        self.relative_attention_bias = nn.Embedding(buckets, heads)

    def forward(self, queries: int, keys: int) -> Tensor:
        """Bias (H, queries, keys)."""
        device = self.relative_attention_bias.weight.device
        query = torch.arange(queries, device=device)
        key = torch.arange(keys, device=device)
        distance = (query[:, None] - key[None]).clamp(min=0)
        exact = self.buckets // 2
        log = torch.log(distance.float() / exact) / math.log(self.max_distance / exact)
        # The logarithm of distance 0 is not used.
        far = exact + (log.clamp(min=0.0) * (self.buckets - exact)).long()
        far = far.clamp(max=self.buckets - 1)
        bucket = torch.where(distance < exact, distance, far)
        values: Tensor = self.relative_attention_bias(bucket)
        return values.permute(2, 0, 1)


class Transformer(nn.Module):
    """Not causal, pre-norm; the bias is computed once a pass and given to every layer."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width, inner = sizes.width, sizes.ff_mult * sizes.width
        self.rel_pos_bias = RelPosBias(32, sizes.heads)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    Attention(width, sizes.heads, sizes.dim_head, sizes.rotary),
                    nn.Sequential(
                        GainNorm(width),
                        nn.Linear(width, 2 * inner, bias=False),
                        SwiGLU(),
                        nn.Identity(),
                        nn.Dropout(0.0),
                        nn.Linear(inner, width, bias=False),
                    ),
                ]
            )
            for _ in range(sizes.depth)
        )
        self.norm = GainNorm(width, stable=True)
        self.project_out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, D) to (B, N, D)."""
        length = x.shape[1]
        bias = self.rel_pos_bias(length, length + 1)
        for attention, feed in self.layers:
            x = attention(x, bias) + x
            x = feed(x) + x
        out: Tensor = self.project_out(self.norm(x))
        return out


class Sinusoid(nn.Module):
    """Sines then cosines of the raw step number."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.half = width // 2

    def forward(self, times: Tensor) -> Tensor:
        """Map (B,) to (B, D)."""
        rates = torch.arange(self.half, device=times.device).float()
        rates = torch.exp(rates * -(math.log(10000.0) / (self.half - 1)))
        angles = times.float()[:, None] * rates[None]
        return torch.cat((angles.sin(), angles.cos()), dim=-1)


class TimeMLP(nn.Module):
    """Two hidden layers of twice the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.ModuleList(
            [
                nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU()),
                nn.Sequential(nn.Linear(2 * width, 2 * width), nn.SiLU()),
                nn.Linear(2 * width, width),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, D) to (B, D)."""
        for layer in self.net:
            x = layer(x)
        return x


class PriorNetwork(nn.Module):
    """Brain tokens, time token and noisy image tokens in; the clean image tokens out."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        shape = (sizes.tokens, sizes.width)
        self.learned_query = nn.Parameter(torch.randn(shape) * sizes.width**-0.5)
        self.null_brain_embeds = nn.Parameter(torch.randn(shape))
        self.null_image_embed = nn.Parameter(torch.randn(shape))
        self.to_time_embeds = nn.Sequential(
            nn.Sequential(Sinusoid(sizes.width), TimeMLP(sizes.width))
        )
        self.causal_transformer = Transformer(sizes)

    def forward(
        self,
        noisy: Tensor,
        times: Tensor,
        brain: Tensor,
        keep_brain: Tensor,
        keep_image: Tensor,
    ) -> Tensor:
        """Map noisy and brain tokens (B, T, D); samples not kept see the learned null tables."""
        brain = torch.where(keep_brain[:, None, None], brain, self.null_brain_embeds[None])
        noisy = torch.where(keep_image[:, None, None], noisy, self.null_image_embed[None])
        noisy = noisy + self.learned_query
        time = self.to_time_embeds(times)[:, None]
        out: Tensor = self.causal_transformer(torch.cat((brain, time, noisy), dim=1))
        return out[:, -noisy.shape[1] :]


class NoiseScheduler(nn.Module):
    """The cosine schedule's buffers under their published names; a loss reads two of them."""

    def __init__(self, timesteps: int) -> None:
        super().__init__()
        share = torch.linspace(0, timesteps, timesteps + 1, dtype=torch.float64) / timesteps
        curve = torch.cos((share + 0.008) / 1.008 * math.pi / 2) ** 2
        curve = curve / curve[0]
        betas = (1 - curve[1:] / curve[:-1]).clamp(0, 0.999)
        kept = torch.cumprod(1 - betas, dim=0)
        before = nn.functional.pad(kept[:-1], (1, 0), value=1.0)
        variance = betas * (1 - before) / (1 - kept)
        for name, value in {
            "betas": betas,
            "alphas_cumprod": kept,
            "alphas_cumprod_prev": before,
            "sqrt_alphas_cumprod": kept.sqrt(),
            "sqrt_one_minus_alphas_cumprod": (1 - kept).sqrt(),
            "log_one_minus_alphas_cumprod": (1 - kept).log(),
            "sqrt_recip_alphas_cumprod": (1 / kept).sqrt(),
            "sqrt_recipm1_alphas_cumprod": (1 / kept - 1).sqrt(),
            "posterior_variance": variance,
            "posterior_log_variance_clipped": variance.clamp(min=1e-20).log(),
            "posterior_mean_coef1": betas * before.sqrt() / (1 - kept),
            "posterior_mean_coef2": (1 - before) * (1 - betas).sqrt() / (1 - kept),
            "p2_loss_weight": torch.ones_like(betas),
        }.items():
            self.register_buffer(name, value.float())

    def add_noise(self, clean: Tensor, times: Tensor, noise: Tensor) -> Tensor:
        """Noised version of clean (B, T, D) at steps (B,)."""
        signal: Tensor = self.sqrt_alphas_cumprod.gather(0, times)[:, None, None]
        spread: Tensor = self.sqrt_one_minus_alphas_cumprod.gather(0, times)[:, None, None]
        return signal * clean + spread * noise
