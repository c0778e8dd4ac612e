"""scene-generator: diffusers' UNet2DConditionModel over scene-vae latents, attending to 17 tokens.

v-prediction, every noise level weighted alike (min-SNR weights would all but switch off the noisy
end, where the tokens alone decide what is drawn); the condition dropped (all-zero tokens) in a
tenth of the cases; averaged weights. Attention sits at 8x8 and 4x4 only: at 16x16 it
doubles the cost.

Shape legend: B batch; latents (B, 4, 16, 16); tokens (B, 17, 128).
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor
from torch.nn import functional

from mindeye_cli.builtin.conditions import Conditions
from mindeye_cli.builtin.loop import Loop, LoopConfig, batch_rows

ARCHITECTURE = {
    "sample_size": 16,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": (64, 96, 96),
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "cross_attention_dim": 128,
    "attention_head_dim": 4,  # diffusers reads it as the number of heads
    "norm_num_groups": 8,
}
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
}
TOKEN_SCALE = math.sqrt(128)  # entries of CLS-normalised tokens are near 1/sqrt(128)
DROP = 0.1
TOKEN_NOISE = 0.15  # largest added noise, in units of a token entry's root mean square


def _perturbed(tokens: Tensor, generator: torch.Generator) -> Tensor:
    """Tokens with a little noise, as a brain decoder's have, and some replaced by the null."""
    count = len(tokens)
    strength = torch.rand(count, 1, 1, generator=generator) * TOKEN_NOISE
    noise = torch.randn(tokens.shape, generator=generator)
    spread = tokens.square().mean((1, 2), keepdim=True).sqrt()
    kept = torch.rand(count, 1, 1, generator=generator) >= DROP
    return (tokens + strength * spread * noise) * kept * TOKEN_SCALE


def take_in_scale(unet: UNet2DConditionModel) -> None:
    """Fold `TOKEN_SCALE` into the cross-attention, so that it takes tokens as the space has them.

    Keys and values have no bias, so the all-zero null condition stays what it was.
    """
    for name, layer in unet.named_modules():
        if name.endswith(("attn2.to_k", "attn2.to_v")):
            layer.weight.data.mul_(TOKEN_SCALE)


def train_generator(
    data: Conditions, config: LoopConfig, folder: Path
) -> tuple[UNet2DConditionModel, Loop]:
    """Train, or resume; a pure function of the encoded scenes and the configuration."""
    torch.manual_seed(config.seed)
    unet = UNet2DConditionModel(**ARCHITECTURE)
    unet.set_attn_processor(AttnProcessor())  # torch's fused one is slow in bf16 on CPU
    schedule = DDPMScheduler(**SCHEDULE)
    loop = Loop(unet, config, folder)

    def loss_of(step: int) -> tuple[Tensor, dict[str, float]]:
        rows = batch_rows(len(data.latents), config.batch, config.seed, step)
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        latents = torch.from_numpy(np.array(data.latents[rows])).float()
        tokens = torch.from_numpy(np.array(data.tokens[rows])).float()
        # One time in each of B equal strata: the same distribution, less noise in the loss.
        strata = torch.arange(len(rows)) + torch.rand(len(rows), generator=generator)
        times = (strata * 1000 / len(rows)).long().clamp(max=999)
        noise = torch.randn(latents.shape, generator=generator)
        noisy = schedule.add_noise(latents, noise, times)
        target = schedule.get_velocity(latents, noise, times)
        context = _perturbed(tokens, generator)
        with torch.autocast("cpu", torch.bfloat16):
            found = unet(noisy, times, context).sample
        error = functional.mse_loss(found.float(), target, reduction="none").mean((1, 2, 3))
        late = error.detach()[times >= 800].mean().item()
        return error.mean(), {"mse_late": late}

    loop.run(loss_of)
    return unet, loop
