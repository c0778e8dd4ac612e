"""Diffusion prior: from brain tokens to tokens that lie where image embeddings lie.

Shapes: `B` batch, `T` tokens, `D` token width. The network predicts the clean target in a space
scaled so that its elements have about unit variance; schedule and samplers are diffusers' own.
"""

from __future__ import annotations

import math
from functools import cached_property

import torch
import torch.nn.functional as F
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from torch import Tensor, nn

from mindeye_cli.models.prior.config import PriorConfig
from mindeye_cli.models.prior.draws import Generators, PriorDraws, draw_prior, normal
from mindeye_cli.models.prior.network import PriorNetwork
from mindeye_store.errors import UsageProblem


def noise_schedule(timesteps: int, steps: int | None = None) -> DDPMScheduler | DDIMScheduler:
    """The cosine schedule (Nichol & Dhariwal 2021) with the sampler for so many steps.

    Parameters
    ----------
    timesteps : int
        Length of the schedule in training.
    steps : int, optional
        Sampling steps: None or `timesteps` give the ancestral sampler, fewer give DDIM.

    Raises
    ------
    UsageProblem
        When `steps` does not divide `timesteps`.
    """
    if steps is not None and not (1 <= steps <= timesteps and timesteps % steps == 0):
        divisors = ", ".join(str(n) for n in range(1, timesteps + 1) if timesteps % n == 0)
        raise UsageProblem(
            f"{steps} sampling steps do not divide the prior's schedule of {timesteps}",
            fix=f"use one of {divisors}",
        )
    settings = {
        "num_train_timesteps": timesteps,
        "beta_schedule": "squaredcos_cap_v2",
        "prediction_type": "sample",
        "clip_sample": False,
    }
    if steps is None or steps == timesteps:
        return DDPMScheduler(**settings, variance_type="fixed_small")
    sampler = DDIMScheduler(**settings, timestep_spacing="trailing", steps_offset=1)
    sampler.set_timesteps(steps)
    return sampler


class DiffusionPrior(nn.Module):
    """Denoising network, noise schedule, loss and samplers.

    Parameters
    ----------
    tokens, width : int
        Number and width of the tokens of one image.
    config : PriorConfig
        Sizes, dropouts, schedule length and scale.
    """

    def __init__(self, tokens: int, width: int, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        self.shape = (tokens, width)
        self.scale = config.scale or math.sqrt(width)
        self.net = PriorNetwork(tokens, width, config)

    def loss(
        self,
        target: Tensor,
        condition: Tensor,
        generator: Generators,
        *,
        dropout: bool | None = None,
    ) -> Tensor:
        """Mean squared error of the predicted clean target, in the scaled space.

        Parameters
        ----------
        target : Tensor, shape (B, T, D)
            Image tokens as the SPACE stores them (not yet scaled).
        condition : Tensor, shape (B, T, D)
            The backbone's tokens; gradients flow into them.
        generator : torch.Generator or list of them, one a sample
            Source of steps, noise and conditioning dropouts.
        dropout : bool, optional
            Whether to apply the conditioning dropouts; None means in training mode only. (The
            published validation loss kept them: pass True to compare with it.)

        Returns
        -------
        Tensor, scalar
        """
        apply_dropout = self.training if dropout is None else dropout
        draws = draw_prior((len(target), *self.shape), self.config, generator, target.device)
        clean = self.scale * target.float()
        noisy = self.add_noise(clean, draws)
        predicted = self.net(
            noisy,
            draws.times,
            condition,
            draws.drop_condition if apply_dropout else None,
            draws.drop_image if apply_dropout else None,
        )
        return F.mse_loss(predicted.float(), clean)

    def add_noise(self, clean: Tensor, draws: PriorDraws) -> Tensor:
        """Noised version of scaled targets (B, T, D) at the drawn steps."""
        noisy: Tensor = self._schedule.add_noise(clean, draws.noise, draws.times)
        return noisy

    @cached_property
    def _schedule(self) -> DDPMScheduler | DDIMScheduler:
        return noise_schedule(self.config.timesteps)

    @torch.no_grad()
    def sample(self, condition: Tensor, generator: Generators, steps: int | None = None) -> Tensor:
        """Draw one embedding for each row of brain tokens.

        Parameters
        ----------
        condition : Tensor, shape (B, T, D)
            The backbone's tokens; repeat a row for several candidates.
        generator : torch.Generator or list of them, one a sample
            With a list, a sample does not depend on what else is in the batch.
        steps : int, optional
            None or the schedule's length: ancestral sampling over every step, as published.
            Fewer: deterministic DDIM (Song et al. 2021) over evenly spaced steps.

        Returns
        -------
        Tensor, shape (B, T, D), float32
            In the target's own scale. Conditioning dropout is never applied.

        Raises
        ------
        UsageProblem
            When `steps` does not divide the length of the schedule.
        """
        scheduler = noise_schedule(self.config.timesteps, steps)
        x = normal((len(condition), *self.shape), generator, condition.device)
        source = generator if isinstance(generator, torch.Generator) else list(generator)
        spacing = self.config.timesteps // (steps or self.config.timesteps)
        for time in range(self.config.timesteps - 1, -1, -spacing):
            times = torch.full((len(x),), time, device=x.device)
            clean = self.net(x, times, condition).float()
            x = scheduler.step(clean, time, x, generator=source).prev_sample
        return x / self.scale
