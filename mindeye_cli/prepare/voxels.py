"""What is known of every voxel beside its responses, and where raw responses are read from.

Shapes: `V` voxels.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]
Places = NDArray[np.signedinteger]


class RawTrials(Protocol):
    """Responses before normalisation, read by trial."""

    @property
    def shape(self) -> tuple[int, int]:
        """Trials and voxels."""

    def read(self, rows: Rows) -> Floats:
        """Return float32 (len(rows), V), in the order of `rows`."""


@dataclass(frozen=True, slots=True)
class RoiLabels:
    """One atlas: an int16 label per voxel (0 and below: none) and the labels' names."""

    labels: NDArray[np.int16]
    names: dict[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoxelTable:
    """Metadata of `V` voxels; what a data set does not say is None or empty.

    Attributes
    ----------
    count : int
        `V`.
    ijk : int16 array (V, 3), optional
        Voxel indices in the volume; of a surface int32: vertex, hemisphere (0 left, 1 right), 0.
    affine : list of 4 lists of 4 floats, optional
        From voxel indices to millimetres.
    volume_shape : list of 3 int, optional
        (X, Y, Z) of the volume.
    rois : dict of str to RoiLabels
        By atlas.
    file_ncsnr : float32 array (V,), optional
        Noise-ceiling SNR as the data set gives it, which may rest on test trials.
    """

    count: int
    ijk: Places | None = None
    affine: list[list[float]] | None = None
    volume_shape: list[int] | None = None
    rois: dict[str, RoiLabels] = field(default_factory=dict)
    file_ncsnr: NDArray[np.float32] | None = None

    def keep(self, kept: NDArray[np.bool_]) -> VoxelTable:
        """The same for the voxels that a boolean array (V,) keeps."""

        def cut(values: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if values is None else values[kept]

        rois = {name: RoiLabels(roi.labels[kept], roi.names) for name, roi in self.rois.items()}
        return replace(
            self,
            count=int(kept.sum()),
            ijk=cut(self.ijk),
            rois=rois,
            file_ncsnr=cut(self.file_ncsnr),
        )
