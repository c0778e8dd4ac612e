"""scene-vae: diffusers' AutoencoderKL at 64 px, latent 4x16x16.

A cold start sticks in grey. For the first part of the training the encoder regresses, and the
decoder decodes, the whitened PCA coefficients of 4x4-pixel patches; then both train together.

Shape legend: B batch; pixels (B, 3, 64, 64) in [-1, 1]; latents (B, 4, 16, 16).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torch.nn import functional

from mindeye_cli.builtin.loop import Loop, LoopConfig, batch_rows
from mindeye_cli.builtin.pool import Pool

ARCHITECTURE = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ("DownEncoderBlock2D",) * 3,
    "up_block_types": ("UpDecoderBlock2D",) * 3,
    "block_out_channels": (32, 64, 64),
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 8,
    "sample_size": 64,
    "mid_block_add_attention": False,
}
START_SHARE = 0.4
_LOG_VARIANCE = -7.0


def to_signed(pixels: np.ndarray) -> Tensor:
    """uint8 (B, 64, 64, 3) to float32 (B, 3, 64, 64) in [-1, 1]."""
    signed = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return signed.contiguous(memory_format=torch.channels_last)


class PatchPca(nn.Module):
    """Whitened leading principal components of 4x4-pixel RGB patches."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        patches = functional.unfold(to_signed(pool.pixels[:2048]), 4, stride=4)
        rows = patches.transpose(1, 2).reshape(-1, 48)
        self.mean = rows.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov(rows.T))
        scale = values[-4:].flip(0).clamp_min(1e-6).rsqrt()
        self.basis = vectors[:, -4:].flip(1) * scale

    def forward(self, signed: Tensor) -> Tensor:
        """Coefficients (B, 4, 16, 16), each of variance one over the pool."""
        patches = functional.unfold(signed, 4, stride=4).transpose(1, 2)
        return ((patches - self.mean) @ self.basis).transpose(1, 2).unflatten(2, (16, 16))


def _reconstruction(decoded: Tensor, signed: Tensor) -> tuple[Tensor, float]:
    """Mean logarithm of each picture's squared error, plus L1; and the mean PSNR in dB."""
    error = decoded.float() - signed
    squared = error.square().flatten(1).mean(1)
    psnr = (10 * torch.log10(4 / squared.detach())).mean().item()
    return 0.2 * torch.log(squared + 1e-4).mean() + error.abs().mean(), psnr


def psnr_of(vae: AutoencoderKL, pixels: np.ndarray) -> float:
    """Mean over pictures of the round trip's PSNR in dB, from the posterior's mode.

    Parameters
    ----------
    vae : AutoencoderKL
    pixels : uint8 (N, 64, 64, 3)

    Returns
    -------
    float
    """
    values = []
    with torch.no_grad():
        for start in range(0, len(pixels), 64):
            signed = to_signed(pixels[start : start + 64])
            decoded = vae.decode(vae.encode(signed).latent_dist.mode()).sample.clamp(-1, 1)
            values.append(10 * torch.log10(4 / (decoded - signed).square().flatten(1).mean(1)))
    return torch.cat(values).mean().item()


def latent_std(vae: AutoencoderKL, pixels: np.ndarray) -> float:
    """Root mean square of the unscaled latents; the pipelines know a scale but no shift."""
    with torch.no_grad():
        parts = [
            vae.encode(to_signed(pixels[start : start + 64])).latent_dist.mode().square().mean()
            for start in range(0, len(pixels), 64)
        ]
    return torch.stack(parts).mean().sqrt().item()


def train_vae(pool: Pool, config: LoopConfig, folder: Path) -> tuple[AutoencoderKL, Loop]:
    """Train, or resume; the result is a pure function of the pool and the configuration."""
    torch.manual_seed(config.seed)
    vae = AutoencoderKL(**ARCHITECTURE).to(memory_format=torch.channels_last)
    pca = PatchPca(pool)
    loop = Loop(vae, config, folder)
    start_steps = START_SHARE * config.steps

    def loss_of(step: int) -> tuple[Tensor, dict[str, float]]:
        signed = to_signed(pool.pixels[batch_rows(len(pool), config.batch, config.seed, step)])
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        with torch.autocast("cpu", torch.bfloat16):
            posterior = vae.encode(signed).latent_dist
            mean, log_variance = posterior.mean.float(), posterior.logvar.float()
            target = pca(signed.float()).float()
            latents = mean if step >= start_steps else target
            noise = torch.randn(mean.shape, generator=generator)
            latents = latents + noise * torch.exp(torch.tensor(_LOG_VARIANCE / 2))
            decoded = vae.decode(latents).sample
        loss, psnr = _reconstruction(decoded, signed)
        anchor = functional.mse_loss(mean, target)
        spread = (log_variance - _LOG_VARIANCE).square().mean()
        if step < start_steps:
            return loss + anchor + 0.01 * spread, {"psnr": psnr, "anchor": anchor.item()}
        # Near-zero mean and near-unit scale are all the KL term is needed for here.
        prior = mean.mean((0, 2, 3)).square().mean() + 1e-3 * mean.square().mean()
        return loss + 0.1 * prior + 0.01 * spread, {"psnr": psnr, "anchor": anchor.item()}

    loop.run(loss_of)
    return vae, loop
