"""Vertices of FreeSurfer surfaces: labels and maps of each hemisphere, and a session's betas.

Both hemispheres make up one list of vertices, the left before the right, handled as a volume of
(vertices, 1, 1) without an affine. A FreeSurfer `.label` lists the vertices of one area.

Shapes: `L`, `R` vertices of the hemispheres, `K` trials, `V` voxels of the mask.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.prepare.nsd.layout import HEMISPHERES, NsdLayout
from mindeye_cli.prepare.nsd.mgh import read_map
from mindeye_cli.prepare.nsd.volumes import Mask, Volume
from mindeye_store.errors import InvalidInput, MissingResource

# Vertices of a hemisphere of FreeSurfer's average subject.
FSAVERAGE = 163_842
# In volumes of one hemisphere -1 is the other's cortex.
ELSEWHERE = -1


def vertex_counts(layout: NsdLayout) -> tuple[int, int]:
    """`L` and `R`: of an atlas that is there, else fsaverage's own.

    Raises
    ------
    MissingResource
        No atlas of a subject's own surface.
    InvalidInput
        A damaged one.
    """
    for name in layout.roi_names():
        left, right = (len(read_map(path, f"the labels {name}")) for path in layout.roi(name))
        return left, right
    if layout.volume_space != "fsaverage":
        raise MissingResource(
            "no labels tell how many vertices the surface has",
            where=str(layout.roi_folder),
            fix="download one of NSD's, such as lh.nsdgeneral.mgz and rh.nsdgeneral.mgz",
        )
    return FSAVERAGE, FSAVERAGE


def read_surface(layout: NsdLayout, name: str, fits: tuple[int, ...] | None = None) -> Volume:
    """Labels of an atlas over all vertices, (L + R, 1, 1); `lh.NAME` is -1 on the right.

    Raises
    ------
    MissingResource
        A file is not there.
    InvalidInput
        A file is damaged, or has another number of vertices.
    """
    counts = vertex_counts(layout)
    parts = []
    for side, count in zip(HEMISPHERES, counts, strict=True):
        path = next((p for p in layout.roi(name) if p.name.startswith(f"{side}.")), None)
        if path is None:
            parts.append(np.full(count, ELSEWHERE, dtype=np.int16))
        elif path.suffix == ".label":
            parts.append(_read_label(path, count))
        else:
            parts.append(_sized(read_map(path, f"the labels {name}"), count, path))
    values = np.concatenate(parts)[:, None, None]
    if fits is not None and values.shape != fits:
        raise InvalidInput(
            f"{name} has {len(values)} vertices but the mask {fits[0]}",
            where=str(layout.roi(name)[0]),
        )
    return Volume(values, np.eye(4))


def read_maps(files: tuple[Path, ...], what: str, fits: tuple[int, ...]) -> NDArray[Any]:
    """A map over all vertices from a file for each hemisphere, (L + R, 1, 1).

    Raises
    ------
    InvalidInput
        A file is damaged, or they have another number of vertices than the mask.
    """
    values = np.concatenate([read_map(path, what) for path in files])[:, None, None]
    if values.shape != fits:
        raise InvalidInput(
            f"{what} has {len(values)} vertices but the mask {fits[0]}", where=str(files[0])
        )
    return values


def places(mask: Mask, left: int) -> NDArray[np.int32]:
    """Vertex and hemisphere (0 left, 1 right) of every voxel, and 0, int32 (V, 3)."""
    index = mask.ijk[:, 0]
    right = index >= left
    rows = np.stack([np.where(right, index - left, index), right, np.zeros_like(index)], axis=1)
    return rows.astype(np.int32)


def surface_facts(layout: NsdLayout) -> dict[str, Any]:
    """What a store says of a surface: its space, its vertices, and what its places mean."""
    if not layout.surface:
        return {}
    # Other subjects' pictures are drawn only on a surface that all subjects share.
    space = "fsaverage" if layout.volume_space == "fsaverage" else "native"
    vertices = dict(zip(HEMISPHERES, vertex_counts(layout), strict=True))
    return {"space": space, "vertices": vertices, "ijk": ["vertex", "hemisphere", "0"]}


@dataclass(frozen=True, slots=True)
class SurfaceSeries:
    """One session's betas from a file for each hemisphere; `left` and `right` are `Series`."""

    left: Any
    right: Any

    @property
    def path(self) -> Path:
        """The left hemisphere's file."""
        found: Path = self.left.path
        return found

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read."""
        return (*self.left.files, *self.right.files)

    @property
    def shape(self) -> tuple[int, ...]:
        """(L + R, 1, 1)."""
        return (self.left.shape[0] + self.right.shape[0], 1, 1)

    @property
    def n_volumes(self) -> int:
        """`K`."""
        return int(self.left.n_volumes)

    def read(
        self, mask: Mask, advance: Callable[[int], object] = lambda count: None
    ) -> NDArray[Any]:
        """Read the vertices of a mask from every trial, (K, V), left before right.

        Raises
        ------
        InvalidInput
            A file is damaged.
        """
        n_left = self.left.shape[0]
        is_left = mask.ijk[:, 0] < n_left
        parts, half = [], _Half(advance)
        for series, chosen, first in ((self.left, is_left, 0), (self.right, ~is_left, n_left)):
            ijk = mask.ijk[chosen] - np.array([first, 0, 0], mask.ijk.dtype)
            if len(ijk):
                parts.append(series.read(Mask(series.shape, ijk, mask.affine), half))
            else:
                half(self.n_volumes)
        if len({part.dtype for part in parts}) > 1:
            raise InvalidInput(
                f"the left hemisphere's betas are {parts[0].dtype}, the right's {parts[1].dtype}",
                where=str(self.right.path),
                fix="give both in the same format",
            )
        return np.concatenate(parts, axis=1)


class _Half:
    """Passes on half of what it is told: two files make up one session."""

    def __init__(self, advance: Callable[[int], object]) -> None:
        self.advance, self.count = advance, 0

    def __call__(self, count: int) -> None:
        before, self.count = self.count // 2, self.count + count
        self.advance(self.count // 2 - before)


def _read_label(path: Path, count: int) -> NDArray[np.int16]:
    """1 at the vertices that a FreeSurfer label lists, else 0, int16 (count,)."""
    values = np.zeros(count, dtype=np.int16)
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        rows = [int(line.split()[0]) for line in lines[2:] if line.strip()]
        announced = int(lines[1])
    except (ValueError, IndexError) as error:
        raise InvalidInput(
            "cannot be read as a FreeSurfer label: a comment, a count, and a row per vertex",
            where=str(path),
        ) from error
    if len(rows) != announced:
        raise InvalidInput(f"{len(rows)} vertices instead of {announced}", where=str(path))
    outside = [vertex for vertex in rows if not 0 <= vertex < count]
    if outside:
        raise InvalidInput(f"vertex {outside[0]} of a surface of {count}", where=str(path))
    values[rows] = 1
    return values


def _sized(values: NDArray[Any], count: int, path: Path) -> NDArray[Any]:
    if len(values) != count:
        raise InvalidInput(
            f"{len(values)} vertices but the surface has {count}",
            where=str(path),
            fix="take all labels from the same surface",
        )
    return values
