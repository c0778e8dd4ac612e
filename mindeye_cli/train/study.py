"""The training images of one subject or of several, as one list of items and one kind of batch.

Every draw is made for the whole batch and keyed by seed, epoch, step and sample, whatever part of
it a process computes; so a run does not depend on the number of its processes.

Shapes: `S` subjects, `B` items of a batch, `b` this process's share of them, `V` voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindeye_cli.core.sampler import derived_seed, epoch_order, rng
from mindeye_cli.models.losses import Mix, draw_mix, mix_voxels
from mindeye_cli.train.config import DataConfig
from mindeye_cli.train.draws import draw_responses
from mindeye_cli.train.responses import ResponseSet

Rows = NDArray[np.int64]


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


class StudySet:
    """Responses of several subjects as one list of items: the first subject's, then the next's.

    Parameters
    ----------
    parts : sequence of ResponseSet
        One a subject.
    seed : int
    """

    def __init__(self, parts: Sequence[ResponseSet], seed: int) -> None:
        self.parts = tuple(parts)
        self.seeds = subject_seeds(seed, len(self.parts))
        self.starts = np.cumsum([0, *(len(part) for part in self.parts)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of items of every subject."""
        return tuple(len(part) for part in self.parts)

    @cached_property
    def image_rows(self) -> Rows:
        """Global image row of every item."""
        return np.concatenate([part.image_rows for part in self.parts])

    def by_subject(self, items: Rows) -> list[Rows]:
        """Each subject's own item numbers among `items`, which list the subjects in order."""
        whose = np.searchsorted(self.starts[1:], items, side="right")
        return [items[whose == s] - self.starts[s] for s in range(len(self.parts))]

    def targets(self, items: Rows, views: Rows | None = None) -> Tensor:
        """Targets of items, float32 (B, ...)."""
        found = []
        start = 0
        for part, own in zip(self.parts, self.by_subject(items), strict=True):
            chosen = None if views is None else views[start : start + len(own)]
            found.append(part.targets.read(own, chosen))
            start += len(own)
        return torch.cat(found).float()

    def extras(self, items: Rows) -> tuple[Tensor, ...]:
        """Other targets of items, float32 (B, ...) each."""
        owns = self.by_subject(items)
        return tuple(
            torch.cat(
                [p.extras[k].read(own) for p, own in zip(self.parts, owns, strict=True)]
            ).float()
            for k in range(len(self.parts[0].extras))
        )

    def means(self) -> list[Tensor]:
        """Every subject's mean responses to all of its items, float32 (N_s, V_s) each."""
        return [part.means() for part in self.parts]

    def draw(
        self, items: Rows, data: DataConfig, moment: Moment, share: Share, mixing: Mixing | None
    ) -> tuple[tuple[Tensor, ...], Mix | None]:
        """Responses of this process's rows of a batch, mixed within subjects where asked for.

        Returns
        -------
        voxels : tuple of float32 Tensor (b_s, V_s)
            One a subject.
        mix : Mix or None
            Of the whole batch.
        """
        voxels, mixes = [], []
        start, mine = 0, share.rows
        for part, own, seed in zip(self.parts, self.by_subject(items), self.seeds, strict=True):
            drawn = part.voxels.new_empty((0, part.voxels.shape[1]))
            if len(own):
                drawn = draw_responses(part, data, own, seed, moment.epoch, moment.keys)
            if mixing is not None:
                mix = mixing.draw(len(own), rng(seed, "mixco", *moment.keys))
                drawn = mix_voxels(drawn, mix)
                mixes.append(Mix(partner=mix.partner + start, weight=mix.weight))
            stop = start + len(own)
            voxels.append(drawn[max(mine.start - start, 0) : max(mine.stop - start, 0)])
            start = stop
        return tuple(voxels), _joined(mixes) if mixes else None


def subject_seeds(seed: int, subjects: int) -> list[int]:
    """A seed for each subject's draws; the first one's is the run's own."""
    return [seed, *(derived_seed(seed, "subject", s) for s in range(1, subjects))]


def epoch_batches(sizes: Sequence[int], batch: int, seed: int, epoch: int) -> list[Rows]:
    """Split one epoch's order into batches of nearly equal size, none larger than `batch`.

    Every batch holds its share of every subject's items, subjects in order. A short last batch
    would give the contrastive losses few negatives, so the remainder is spread.

    Parameters
    ----------
    sizes : sequence of int
        Number of items of every subject; each item appears once.
    batch : int
    seed, epoch : int

    Returns
    -------
    list of int64 arrays
    """
    steps = steps_per_epoch(sizes, batch)
    starts = np.cumsum([0, *sizes])
    orders = [
        np.array_split(epoch_order(n, own, epoch) + start, steps)
        for n, own, start in zip(sizes, subject_seeds(seed, len(sizes)), starts, strict=False)
    ]
    return [np.concatenate(parts) for parts in zip(*orders, strict=True)]


def steps_per_epoch(sizes: Sequence[int], batch: int) -> int:
    """Number of batches in an epoch: the fewest that keep every batch within its size.

    Raises
    ------
    ValueError
        A batch cannot hold one item of every subject.
    """
    if batch < len(sizes):
        raise ValueError(f"a batch of {batch} cannot hold {len(sizes)} subjects")
    steps = -(-sum(sizes) // batch)
    while sum(-(-n // steps) for n in sizes) > batch:
        steps += 1
    return steps


def _joined(mixes: list[Mix]) -> Mix:
    return Mix(
        partner=torch.cat([mix.partner for mix in mixes]),
        weight=torch.cat([mix.weight for mix in mixes]),
    )
