"""What a published prior stores although it can be computed: checked, then left out.

The noise schedule's thirteen arrays and the attention's rotary frequencies (Nichol & Dhariwal 2021;
Su et al. 2021).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from mindeye_cli.models.prior.attention import rotary_rates
from mindeye_cli.models.prior.config import PriorConfig
from mindeye_cli.models.prior.diffusion import noise_schedule
from mindeye_store.errors import InvalidInput

SCHEDULE = "noise_scheduler."
ROTARY = "net.causal_transformer.layers.{}.0.rotary_emb.freqs"


def check_recomputed(state: Mapping[str, Tensor], config: PriorConfig) -> list[str]:
    """Keys of the noise schedule and the rotary frequencies, once they agree with ours.

    Raises
    ------
    InvalidInput
        One of them is missing, unknown, or has other values.
    """
    ours = {SCHEDULE + name: values for name, values in schedule_arrays(config.timesteps).items()}
    rates = rotary_rates(min(config.rotary_dims, config.dim_head), torch.device("cpu"))
    ours |= {ROTARY.format(layer): rates for layer in range(config.depth)}
    found = {key for key in state if key.startswith(SCHEDULE) or key.endswith(".freqs")}
    refuse_keys("unknown", found - set(ours))
    refuse_keys("missing", set(ours) - found)
    for key, values in ours.items():
        theirs, values = state[key].double(), values.double()
        if theirs.shape != values.shape or not torch.allclose(theirs, values, atol=1e-6, rtol=1e-4):
            raise InvalidInput("the values differ from those this package computes", where=key)
    return list(ours)


def schedule_arrays(timesteps: int) -> dict[str, Tensor]:
    """The arrays that the published code keeps of its cosine schedule, by name; float64."""
    betas = noise_schedule(timesteps).betas.double()
    alphas = 1 - betas
    bars = alphas.cumprod(0)
    before = torch.cat((bars.new_ones(1), bars[:-1]))
    variance = betas * (1 - before) / (1 - bars)
    return {
        "betas": betas,
        "alphas_cumprod": bars,
        "alphas_cumprod_prev": before,
        "sqrt_alphas_cumprod": bars.sqrt(),
        "sqrt_one_minus_alphas_cumprod": (1 - bars).sqrt(),
        "log_one_minus_alphas_cumprod": (1 - bars).log(),
        "sqrt_recip_alphas_cumprod": bars.rsqrt(),
        "sqrt_recipm1_alphas_cumprod": (1 / bars - 1).sqrt(),
        "posterior_variance": variance,
        "posterior_log_variance_clipped": variance.clamp_min(1e-20).log(),
        "posterior_mean_coef1": betas * before.sqrt() / (1 - bars),
        "posterior_mean_coef2": (1 - before) * alphas.sqrt() / (1 - bars),
        "p2_loss_weight": torch.ones_like(betas),
    }


def refuse_keys(what: str, keys: Collection[str]) -> None:
    """Refuse keys by name, should there be any.

    Raises
    ------
    InvalidInput
        Naming the first five.
    """
    if keys:
        named = sorted(keys)
        more = f" and {len(named) - 5} more" if len(named) > 5 else ""
        raise InvalidInput(f"{what} keys in the checkpoint", where=", ".join(named[:5]) + more)
