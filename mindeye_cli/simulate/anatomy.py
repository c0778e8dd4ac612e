"""A small brain volume: which voxels are `nsdgeneral`, and to which area each belongs.

Shapes: `V` voxels in C order of the mask, `X, Y, Z` the volume (RAS: x to the right, y to the
front, z up).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mindeye_cli.simulate.areas import AREAS, ATLASES, Area, lacking_area

VOXEL_MM = 1.8
# Cortex beyond nsdgeneral, labelled 0 in every atlas, as a share of nsdgeneral.
_CORTEX_MARGIN = 0.4
_ASPECT = np.array([1.25, 1.0, 0.82])


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """Where the voxels of one subject lie.

    Parameters
    ----------
    mask, cortex : ndarray of bool, shape (X, Y, Z)
        `nsdgeneral`, and all cortex.
    ijk : ndarray of int16, shape (V, 3)
        Volume indices of the masked voxels, in C order.
    left : ndarray of bool, shape (V,)
        Voxels of the left hemisphere.
    area : ndarray of int16, shape (V,)
        Index into `AREAS`.
    lacking : str
        The area that this subject does not have; its voxels carry no label and no tuning.
    """

    mask: npt.NDArray[np.bool_]
    cortex: npt.NDArray[np.bool_]
    ijk: npt.NDArray[np.int16]
    left: npt.NDArray[np.bool_]
    area: npt.NDArray[np.int16]
    lacking: str

    def voxels_of(self, *names: str) -> npt.NDArray[np.bool_]:
        """Mask over voxels, shape (V,), of the areas called `names`."""
        return np.isin(self.area, [i for i, area in enumerate(AREAS) if area.name in names])

    def labels(self, atlas: str) -> npt.NDArray[np.int16]:
        """Label of every voxel in `atlas`, shape (V,); 0 where the atlas names nothing."""
        if atlas == "nsdgeneral":
            return np.ones(len(self.ijk), np.int16)
        table = np.array([self._label(area, atlas) for area in AREAS], np.int16)
        return table[self.area]

    def _label(self, area: Area, atlas: str) -> int:
        name = area.stream if atlas == "streams" else area.name if area.atlas == atlas else None
        if name is None or area.name == self.lacking:
            return 0
        return ATLASES[atlas].index(name) + 1

    def volume(self, atlas: str, hemisphere: str | None = None) -> npt.NDArray[np.int16]:
        """The ROI volume of `atlas`: -1 outside the cortex asked for, 0 unlabelled, else label.

        Parameters
        ----------
        atlas : str
            A key of `ATLASES`.
        hemisphere : {"lh", "rh"}, optional
            Only that hemisphere's cortex; both when absent.

        Returns
        -------
        ndarray of int16, shape (X, Y, Z)
        """
        volume = np.where(self.cortex, 0, -1).astype(np.int16)
        volume[self.mask] = self.labels(atlas)
        if hemisphere is not None:
            middle = self.mask.shape[0] / 2
            is_left = np.arange(self.mask.shape[0]) + 0.5 < middle
            volume[~is_left if hemisphere == "lh" else is_left] = -1
        return volume


def affine(shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Affine of a volume centred on the origin, in mm."""
    matrix = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
    matrix[:3, 3] = -VOXEL_MM * (np.array(shape[:3]) - 1) / 2
    return matrix


def build_anatomy(n_voxels: int, subject: int) -> Anatomy:
    """Lay out the visual cortex of one subject.

    Parameters
    ----------
    n_voxels : int
        Voxels in `nsdgeneral`.
    subject : int
        Subject number, which decides the area that is lacking.

    Returns
    -------
    Anatomy
        Both hemispheres, every area contiguous from back to front.
    """
    edge = (2.4 * n_voxels) ** (1 / 3)
    shape = tuple(int(np.ceil(edge * aspect)) + 2 for aspect in _ASPECT)
    shape = (shape[0] + shape[0] % 2, *shape[1:])
    mask, cortex = np.zeros(shape, bool), np.zeros(shape, bool)
    area_volume = np.full(shape, -1, np.int16)
    half = shape[0] // 2
    for first, count in ((0, n_voxels // 2), (half, n_voxels - n_voxels // 2)):
        block = np.array(list(np.ndindex(half, *shape[1:])))
        centre = (np.array([half, *shape[1:]]) - 1) / 2
        distance = (((block - centre) / (_ASPECT * [0.5, 1, 1])) ** 2).sum(1)
        nearest = np.argsort(distance, kind="stable")
        ring = nearest[: count + int(_CORTEX_MARGIN * count)]
        place = block + [first, 0, 0]
        cortex[tuple(place[ring].T)] = True
        inside = np.sort(nearest[:count])
        mask[tuple(place[inside].T)] = True
        area_volume[tuple(place[inside].T)] = _assign(block[inside])
    ijk = np.argwhere(mask).astype(np.int16)
    return Anatomy(
        mask=mask,
        cortex=cortex,
        ijk=ijk,
        left=ijk[:, 0] < half,
        area=area_volume[mask],
        lacking=lacking_area(subject),
    )


def _assign(ijk: npt.NDArray[np.int64]) -> npt.NDArray[np.int16]:
    """Area of every voxel of one hemisphere: slabs from back to front, stacked from below."""
    counts = _apportion(np.array([area.weight for area in AREAS]), len(ijk))
    slabs = np.array([area.slab for area in AREAS])
    back_to_front = np.lexsort((ijk[:, 0], ijk[:, 2], ijk[:, 1]))
    area = np.empty(len(ijk), np.int16)
    start = 0
    for slab in np.unique(slabs):
        members = np.flatnonzero(slabs == slab)
        chosen = back_to_front[start : start + counts[members].sum()]
        start += len(chosen)
        upwards = chosen[np.lexsort((ijk[chosen, 0], ijk[chosen, 1], ijk[chosen, 2]))]
        area[upwards] = np.repeat(members, counts[members])
    return area


def _apportion(weights: npt.NDArray[np.int64], total: int) -> npt.NDArray[np.int64]:
    """Whole numbers in proportion to `weights` that sum to `total`, each at least one."""
    exact = weights / weights.sum() * total
    counts = np.maximum(np.floor(exact), 1).astype(np.int64)
    while counts.sum() != total:
        step = 1 if counts.sum() < total else -1
        lag = (exact - counts) * step
        lag[(counts == 1) & (step < 0)] = -np.inf
        counts[np.argmax(lag)] += step
    return counts
