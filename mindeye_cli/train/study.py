"""The training images of one subject or of several, as one list of items and one kind of batch.

Every draw here is made for the whole batch and keyed by seed, epoch, step and sample, whatever part
of it a process computes. Dropout alone is keyed by step and process (`train/loop.py`).

Shapes: `S` subjects, `B` items of a batch, `b` this process's share of them, `V` voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindeye_cli.core.sampler import derived_seed, epoch_order, rng
from mindeye_cli.models.losses import Mix, mix_voxels
from mindeye_cli.train.batch import Mixing, Moment, Share
from mindeye_cli.train.config import DataConfig
from mindeye_cli.train.draws import draw_responses
from mindeye_cli.train.responses import ResponseSet

Rows = NDArray[np.int64]


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
    starts = np.cumsum([0, *sizes])[:-1]
    orders = [
        np.array_split(epoch_order(n, own, epoch) + start, steps)
        for n, own, start in zip(sizes, subject_seeds(seed, len(sizes)), starts, strict=True)
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
