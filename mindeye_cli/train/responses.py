"""One subject's responses to some images, with the images' targets.

Shapes: `N` images, `R` most repeats of an image, `B` images of a batch, `V` voxels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindeye_store import Reader

Rows = NDArray[np.int64]


class Targets(Protocol):
    """Targets of N images, wherever they are kept; one or several views of each."""

    def read(self, items: Rows, views: Rows | None = None) -> Tensor:
        """Targets of some images (B, ...) as stored, in the given views or the plain ones."""

    def take(self, items: Rows) -> Targets:
        """The targets of some of the images only."""

    def to(self, device: torch.device) -> Targets:
        """The same targets, kept on a device if they are kept in memory at all."""


@dataclass(frozen=True, slots=True)
class KeptTargets:
    """Targets in memory.

    Attributes
    ----------
    views : tuple of Tensor (N, ...)
        Plain targets, then those of the augmented views; float16 or float32.
    """

    views: tuple[Tensor, ...]

    def read(self, items: Rows, views: Rows | None = None) -> Tensor:
        """See `Targets`."""
        index = torch.from_numpy(items).to(self.views[0].device)
        rows = self.views[0][index]
        if views is not None:
            for number in range(1, len(self.views)):
                chosen = torch.from_numpy(np.flatnonzero(views == number)).to(index.device)
                rows[chosen] = self.views[number][index[chosen]]
        return rows

    def take(self, items: Rows) -> KeptTargets:
        """See `Targets`."""
        index = torch.from_numpy(items)
        return KeptTargets(tuple(view[index] for view in self.views))

    def to(self, device: torch.device) -> KeptTargets:
        """See `Targets`."""
        return KeptTargets(tuple(view.to(device) for view in self.views))


@dataclass(frozen=True, slots=True)
class StoredTargets:
    """Targets read from the store when they are asked for.

    Attributes
    ----------
    readers : tuple of Reader
        Of the plain targets, then of the augmented views; over the store's image rows.
    image_rows : int64 array (N,)
    """

    readers: tuple[Reader, ...]
    image_rows: Rows

    def read(self, items: Rows, views: Rows | None = None) -> Tensor:
        """See `Targets`."""
        rows = self.readers[0].read(self.image_rows[items])
        if views is not None:
            for number in range(1, len(self.readers)):
                chosen = np.flatnonzero(views == number)
                if len(chosen):
                    rows[chosen] = self.readers[number].read(self.image_rows[items[chosen]])
        return torch.from_numpy(rows)

    def take(self, items: Rows) -> StoredTargets:
        """See `Targets`."""
        return StoredTargets(self.readers, self.image_rows[items])

    def to(self, device: torch.device) -> StoredTargets:
        """See `Targets`."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseSet:
    """Responses to some images, with the images' targets.

    Attributes
    ----------
    voxels : float32 tensor (n_trials, V)
    repeats : int64 tensor (N, R)
        Rows of `voxels` for every image; images with fewer repeats are padded with their first.
    counts : int64 array (N,)
        Number of repeats of every image.
    targets : Targets
    image_rows : int64 array (N,)
        Global image rows of the store.
    extras : tuple of Targets
        Other spaces of the same images, such as a teacher's features.
    """

    voxels: Tensor
    repeats: Tensor
    counts: Rows
    targets: Targets
    image_rows: Rows
    extras: tuple[Targets, ...] = ()

    def __len__(self) -> int:
        return len(self.image_rows)

    def combine(self, items: Rows, weights: Tensor) -> Tensor:
        """Weighted sum over the repeats of some images, float32 (B, V); `weights` is (B, R)."""
        device = self.voxels.device
        rows = self.repeats[torch.from_numpy(items).to(device)]
        return torch.einsum("br,brv->bv", weights.to(device), self.voxels[rows])

    def means(self) -> Tensor:
        """Mean response to every image, float32 (N, V)."""
        present = torch.arange(self.repeats.shape[1])[None] < torch.from_numpy(self.counts)[:, None]
        weights = present / torch.from_numpy(self.counts)[:, None]
        return self.combine(np.arange(len(self)), weights.to(torch.float32))

    def take(self, items: Rows) -> ResponseSet:
        """The same responses, seen through some of the images only."""
        return ResponseSet(
            voxels=self.voxels,
            repeats=self.repeats[torch.from_numpy(items)],
            counts=self.counts[items],
            targets=self.targets.take(items),
            image_rows=self.image_rows[items],
            extras=tuple(extra.take(items) for extra in self.extras),
        )

    def to(self, device: torch.device) -> ResponseSet:
        """The same responses and targets on a device."""
        return replace(
            self,
            voxels=self.voxels.to(device),
            repeats=self.repeats.to(device),
            targets=self.targets.to(device),
            extras=tuple(extra.to(device) for extra in self.extras),
        )
