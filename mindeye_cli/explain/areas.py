"""A subject's areas as rows of a matrix, so that a map becomes a score an area by one product.

Areas of different atlases overlap: scores are never added over areas.

Shapes: `A` areas, `V` voxels.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindeye_cli.core.rois import list_areas
from mindeye_store import Subject
from mindeye_store.errors import InvalidInput

# A mean over fewer voxels is a voxel's, not an area's.
LEAST_VOXELS = 3
ELSEWHERE = "elsewhere"


@dataclass(frozen=True, kw_only=True)
class Areas:
    """The areas that scores are told for.

    Attributes
    ----------
    names : tuple of str
        `NAME`, or `ATLAS:NAME` where several atlases know the name.
    masks : bool array (A, V)
    skipped : tuple of str
        Areas of fewer than `LEAST_VOXELS` voxels.
    """

    names: tuple[str, ...]
    masks: NDArray[np.bool_]
    skipped: tuple[str, ...]

    @classmethod
    def of(cls, subject: Subject) -> Areas:
        """Every area of the subject, those that were drawn for it first.

        Raises
        ------
        InvalidInput
            The subject has no ROI labels.
        """
        found = list_areas(subject.rois)
        known = Counter(area.name for area in found)
        names = [a.name if known[a.name] == 1 else f"{a.atlas}:{a.name}" for a in found]
        large = [area.voxels.sum() >= LEAST_VOXELS for area in found]
        if not any(large):
            raise InvalidInput(
                "the subject has no ROI labels, so no area can be told",
                where=f"subject {subject.name}",
                fix="prepare it with ROI volumes or ROI columns in voxels.csv; what works without"
                " them: mindeye sae map, retrieve and reconstruct",
            )
        return cls(
            names=tuple(name for name, keep in zip(names, large, strict=True) if keep),
            masks=np.stack([a.voxels for a, keep in zip(found, large, strict=True) if keep]),
            skipped=tuple(name for name, keep in zip(names, large, strict=True) if not keep),
        )

    @cached_property
    def means(self) -> Tensor:
        """float32 (A, V): the product with a map is the mean over each area's voxels."""
        rows = torch.from_numpy(self.masks).float()
        return rows / rows.sum(dim=1, keepdim=True)

    @cached_property
    def parts(self) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        """Areas without overlap: each voxel's group (V,), and the groups' names.

        A voxel belongs to the first area that holds it, and to `elsewhere` where none does.
        """
        group = np.full(self.masks.shape[1], len(self.names), dtype=np.int64)
        for number in range(len(self.names) - 1, -1, -1):
            group[self.masks[number]] = number
        there, group = np.unique(group, return_inverse=True)
        every = (*self.names, ELSEWHERE)
        return group.astype(np.int64), tuple(every[number] for number in there)
