"""One batch, the moment it belongs to, and the share of it that a process computes.

Shapes: `B` items of a batch, `b` this process's share of them, `V_s` voxels of subject `s`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mindeye_cli.models.losses import Mix, draw_mix


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a step is: its number, its epoch, the run's number of epochs, and the part of a batch.

    Attributes
    ----------
    step, epoch, epochs : int
    part : int
        Of a batch that is split to save memory; 0 otherwise.
    """

    step: int
    epoch: int
    epochs: int
    part: int = 0

    @property
    def keys(self) -> tuple[int, ...]:
        """What a draw of this part of this step is keyed by, beside the seed."""
        return (self.step, self.part) if self.part else (self.step,)


@dataclass(frozen=True, slots=True)
class Mixing:
    """How voxels are mixed: the Beta distribution's parameter, and the chance of being mixed."""

    beta: float
    fraction: float

    def draw(self, n: int, source: np.random.Generator) -> Mix:
        """Partners and weights of `n` samples."""
        return draw_mix(n, source, beta=self.beta, fraction=self.fraction)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Which rows of a batch a process computes.

    Attributes
    ----------
    rank : int
    sizes : tuple of int
        Rows of every process, nearly equal and in the order of the ranks.
    """

    rank: int
    sizes: tuple[int, ...]

    @property
    def rows(self) -> slice:
        """This process's rows."""
        start = sum(self.sizes[: self.rank])
        return slice(start, start + self.sizes[self.rank])

    @property
    def weight(self) -> float:
        """What a mean over this process's rows counts in an average over processes."""
        return self.sizes[self.rank] * len(self.sizes) / sum(self.sizes)


def share_of(size: int, rank: int, world: int) -> Share:
    """Split `size` rows over `world` processes."""
    sizes = tuple(size // world + (r < size % world) for r in range(world))
    return Share(rank=rank, sizes=sizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one process takes into one step.

    Attributes
    ----------
    voxels : tuple of float32 Tensor (b_s, V_s)
        This process's responses, one entry a subject.
    target : float32 Tensor (B, ...)
        Of the whole batch, which the contrastive losses of every process see.
    share : Share
        Which of those rows are this process's.
    mix : Mix or None
        How voxels of the whole batch were mixed.
    sources : list of Generator
        One for each of this process's rows, where the loss draws noise.
    extras : tuple of float32 Tensor (B, ...)
        Other targets of the whole batch.
    """

    voxels: tuple[Tensor, ...]
    target: Tensor
    share: Share
    mix: Mix | None = None
    sources: list[torch.Generator] | None = None
    extras: tuple[Tensor, ...] = ()

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return replace(
            self,
            voxels=tuple(part.to(device, non_blocking=True) for part in self.voxels),
            target=self.target.to(device, non_blocking=True),
            extras=tuple(extra.to(device, non_blocking=True) for extra in self.extras),
        )
