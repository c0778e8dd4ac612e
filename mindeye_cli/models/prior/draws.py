"""Random draws of the prior's loss, taken from generators that the caller seeds.

Shapes: `B` batch, `T` tokens, `D` token width. One generator serves the whole batch; a list of
them, one a sample, makes each sample's draws independent of the batch it is in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from mindeye_cli.models.prior.config import PriorConfig

Generators = torch.Generator | Sequence[torch.Generator]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorDraws:
    """What one evaluation of the loss draws.

    Attributes
    ----------
    times : Tensor, shape (B,), int64
        Step of the noise schedule, uniform.
    noise : Tensor, shape (B, T, D), float32
        Standard normal.
    drop_condition, drop_image : Tensor, shape (B,), bool
        Samples whose brain or noisy image tokens are replaced by the null tables.
    """

    times: Tensor
    noise: Tensor
    drop_condition: Tensor
    drop_image: Tensor


def uniform(rows: int, columns: int, generator: Generators) -> Tensor:
    """Uniform values in [0, 1), shape (rows, columns), on the generator's device."""
    if isinstance(generator, torch.Generator):
        return torch.rand(rows, columns, generator=generator, device=generator.device)
    drawn = [torch.rand(columns, generator=g, device=g.device) for g in _checked(generator, rows)]
    return torch.stack(drawn)


def normal(shape: tuple[int, ...], generator: Generators, device: torch.device) -> Tensor:
    """Standard normal float32 values of `shape` on `device`, the first axis being the batch."""
    source = generator
    if not isinstance(generator, torch.Generator):
        source = _checked(generator, shape[0])
    out: Tensor = randn_tensor(shape, generator=source, device=device, dtype=torch.float32)
    return out


def draw_prior(
    shape: tuple[int, int, int], config: PriorConfig, generator: Generators, device: torch.device
) -> PriorDraws:
    """Draw times, conditioning dropouts and noise, in this order, for targets of `shape` (B, T, D).

    Raises
    ------
    ValueError
        When a list of generators has another length than the batch.
    """
    chances = uniform(shape[0], 3, generator)
    # A float32 uniform times the step count can round up to the count itself.
    times = (chances[:, 0] * config.timesteps).long().clamp_max(config.timesteps - 1)
    return PriorDraws(
        times=times.to(device),
        drop_condition=(chances[:, 1] < config.drop_condition).to(device),
        drop_image=(chances[:, 2] < config.drop_image).to(device),
        noise=normal(shape, generator, device),
    )


def _checked(generators: Sequence[torch.Generator], rows: int) -> list[torch.Generator]:
    if len(generators) != rows:
        raise ValueError(f"{len(generators)} generators for a batch of {rows}")
    return list(generators)
