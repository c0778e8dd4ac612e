"""One subject's trials and voxel metadata.

Bundle `subjects/<S>`: `voxels` float32 (n_trials, V); `image_index` int64, `session`, `run`,
`repeat` int16, `split` uint8 (0 train, 1 test), each (n_trials,); `ijk` int16 (V, 3), of a
surface int32 (vertex, hemisphere, 0); optional
`ncsnr` float32 (V,) and `roi/<atlas>` int16 (V,). Attributes: `affine` (4x4 lists, voxel to mm)
and `roi_labels` ({atlas: {label as text: name}}), besides what the maker adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_store.errors import InvalidInput
from mindeye_store.published import array_names, fingerprint, user_attributes
from mindeye_store.read import Reader
from mindeye_store.readers import ReaderKind, in_memory, open_array_reader, read_column

_ROI = "roi/"


@dataclass(frozen=True, slots=True)
class Roi:
    """One atlas.

    Attributes
    ----------
    labels : ndarray of int16, shape (V,)
        -1 or 0 where a voxel has no area.
    names : dict of int to str
    """

    labels: np.ndarray
    names: dict[int, str]


class Subject:
    """Read one subject; made by `Store.subject`. Columns are read at first use and kept."""

    def __init__(self, bundle: Path, name: str, kind: ReaderKind, n_images: int) -> None:
        self.name, self._n_images = name, n_images
        self._bundle, self._kind = bundle, kind
        self._arrays = array_names(bundle)

    @cached_property
    def attrs(self) -> dict[str, Any]:
        """Attributes that the maker gave, with provenance."""
        return user_attributes(self._bundle)

    @cached_property
    def voxels(self) -> Reader:
        """Reader over trials, float32 (n_trials, V), in the unit that `attrs` names."""
        return in_memory(open_array_reader(self._bundle, "voxels", self._kind), self._kind)

    @cached_property
    def image_index(self) -> np.ndarray:
        """Global image row of each trial, int64 (n_trials,).

        Raises
        ------
        InvalidInput
            A trial shows an image that the store does not have.
        """
        rows = self.column("image_index")
        absent = np.flatnonzero((rows < 0) | (rows >= self._n_images))
        if absent.size:
            raise InvalidInput(
                f"trial {absent[0]} of subject {self.name} shows image {rows[absent[0]]}, the store"
                f" has {self._n_images} ({absent.size} such trials)",
                where=str(self._bundle),
                fix="prepare the subject again with --overwrite",
            )
        return rows

    @cached_property
    def session(self) -> np.ndarray:
        """Session of each trial, int16 (n_trials,)."""
        return self.column("session")

    @cached_property
    def run(self) -> np.ndarray:
        """Run of each trial, int16 (n_trials,)."""
        return self.column("run")

    @cached_property
    def repeat(self) -> np.ndarray:
        """Which showing of its image a trial is, int16 (n_trials,)."""
        return self.column("repeat")

    @cached_property
    def split(self) -> np.ndarray:
        """0 train, 1 test, uint8 (n_trials,)."""
        return self.column("split")

    @cached_property
    def ijk(self) -> np.ndarray | None:
        """Voxel coordinates, int16 (V, 3); of a surface int32: vertex, hemisphere, 0."""
        return self.column("ijk") if "ijk" in self._arrays else None

    @cached_property
    def ncsnr(self) -> np.ndarray | None:
        """Noise ceiling signal-to-noise ratio, float32 (V,)."""
        return self.column("ncsnr") if "ncsnr" in self._arrays else None

    @cached_property
    def affine(self) -> np.ndarray | None:
        """Voxel to millimetre, float64 (4, 4)."""
        value = self.attrs.get("affine")
        return None if value is None else np.asarray(value, dtype=np.float64)

    @cached_property
    def rois(self) -> dict[str, Roi]:
        """Atlases by name."""
        labels: Mapping[str, Mapping[str, str]] = self.attrs.get("roi_labels", {})
        atlases = [name.removeprefix(_ROI) for name in self._arrays if name.startswith(_ROI)]
        return {
            atlas: Roi(
                self.column(_ROI + atlas),
                {int(label): name for label, name in labels.get(atlas, {}).items()},
            )
            for atlas in atlases
        }

    @property
    def fingerprint(self) -> str:
        """sha256 over this subject's stored arrays."""
        return fingerprint(self._bundle)

    def column(self, name: str) -> np.ndarray:
        """Read any small array of the bundle whole."""
        if name not in self._arrays:
            raise InvalidInput(
                f"subject {self.name} has no array {name!r}", where=str(self._bundle)
            )
        return read_column(self._bundle, name)
