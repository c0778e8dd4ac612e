"""Scenes drawn once and kept as memory-mapped arrays, with the attributes the losses need.

Shape legend: N scenes; 8x8 patches of 8 pixels; 11 = background plus the ten categories.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.atomic import staged_dir
from mindeye_cli.core.scenes import (
    BACKGROUNDS,
    CATEGORIES,
    COLOURS,
    TEXTURES,
    Scene,
    builtin_seed,
    category_map,
    render,
    sample_scene,
)

_NAMES = ("pixels", "occupancy", "main", "place", "present", "backdrop")
_COLOUR_NAMES = tuple(COLOURS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Arrays over the scenes of one split, row i being the scene of `builtin_seed(split, i)`."""

    split: str
    pixels: NDArray[np.uint8]  # (N, 64, 64, 3)
    occupancy: NDArray[np.uint8]  # (N, 8, 8, 11) pixels of each class in each patch
    main: NDArray[np.int64]  # (N, 3) category, colour and texture of the largest object
    place: NDArray[np.float32]  # (N, 3) its x, y and size, fractions of the width
    present: NDArray[np.uint8]  # (N, 10) which categories are in the scene
    backdrop: NDArray[np.int64]  # (N, 2) kind and colour of the background

    def __len__(self) -> int:
        return len(self.pixels)

    def scene(self, row: int) -> Scene:
        """The scene of a row."""
        return sample_scene(builtin_seed(self.split, row))


def _occupancy(scene: Scene) -> NDArray[np.uint8]:
    """Pixels of each class in each patch, uint8 (8, 8, 11)."""
    labels = category_map(scene).reshape(8, 8, 8, 8).transpose(0, 2, 1, 3).reshape(64, 64)
    cells = np.arange(64)[:, None] * 11 + labels
    counts = np.bincount(cells.ravel(), minlength=64 * 11)
    return counts.reshape(8, 8, 11).astype(np.uint8)


def _draw(split: str, count: int) -> dict[str, NDArray[np.generic]]:
    """All arrays of a split, drawn now."""
    arrays: dict[str, NDArray[np.generic]] = {
        "pixels": np.empty((count, 64, 64, 3), np.uint8),
        "occupancy": np.empty((count, 8, 8, 11), np.uint8),
        "main": np.empty((count, 3), np.int64),
        "place": np.empty((count, 3), np.float32),
        "present": np.zeros((count, len(CATEGORIES)), np.uint8),
        "backdrop": np.empty((count, 2), np.int64),
    }
    for row in range(count):
        scene = sample_scene(builtin_seed(split, row))
        main = scene.objects[0]
        arrays["pixels"][row] = render(scene)
        arrays["occupancy"][row] = _occupancy(scene)
        arrays["main"][row] = (
            CATEGORIES.index(main.category),
            _COLOUR_NAMES.index(main.colour),
            TEXTURES.index(main.texture),
        )
        arrays["place"][row] = (main.x, main.y, main.size)
        for item in scene.objects:
            arrays["present"][row, CATEGORIES.index(item.category)] = 1
        backdrop = scene.background
        arrays["backdrop"][row] = (
            BACKGROUNDS.index(backdrop.kind),
            _COLOUR_NAMES.index(backdrop.colour),
        )
    return arrays


def load_pool(cache: Path, split: str, count: int) -> Pool:
    """Open the drawn scenes of a split, drawing them first where they are absent.

    Parameters
    ----------
    cache : Path
        Folder for drawn scenes; 13 kB a scene.
    split : str
        A split of `builtin_seed`.
    count : int
        How many scenes.

    Returns
    -------
    Pool
        Memory-mapped, read only.
    """
    folder = cache / f"{split}-{count}"
    if not folder.exists():
        with staged_dir(folder) as staged:
            for name, array in _draw(split, count).items():
                np.save(staged / f"{name}.npy", array, allow_pickle=False)
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _NAMES}
    return Pool(split=split, **arrays)
