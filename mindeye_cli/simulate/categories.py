"""Category areas: responses to the objects of a scene, tolerant of where they are.

Shapes: `B` images, `O` objects of all images, `N` voxels of these areas, `K` categories.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mindeye_cli.core.scenes import BACKGROUNDS, CATEGORIES, Scene
from mindeye_cli.simulate.anatomy import Anatomy
from mindeye_cli.simulate.areas import AREAS

Floats = npt.NDArray[np.float32]

# Mean preference of an atlas' areas, by category and by backdrop; what is not named is 0.
_PREFERENCE: dict[str, dict[str, float]] = {
    "floc-faces": {"face": 1.0, "animal": 0.4, "body": 0.3, "food": 0.15},
    "floc-bodies": {"body": 1.0, "animal": 0.5, "face": 0.3, "tool": 0.2},
    "floc-places": {"house": 1.0, "vehicle": 0.4, "plant": 0.35},
    "floc-words": {"word": 1.0, "shape": 0.35, "tool": 0.3, "food": 0.15},
}
_BACKDROP = {"field": 0.35, "water": 0.3, "indoor": 0.3, "sky": 0.15}
# Voxels of an area differ: each category's weight, and each backdrop's in place areas, varies by
# this SD, which is why other categories than the preferred one can be read from an area.
_SPREAD = 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryTuning:
    """Parameters of the tuned voxels of the category areas.

    Parameters
    ----------
    voxel : ndarray of int64, shape (N,)
        Which voxels these rows are.
    weight : ndarray of float32, shape (N, K)
        Response to an object of each category (order of `CATEGORIES`).
    backdrop : ndarray of float32, shape (N, n_backgrounds)
        Response to each kind of backdrop; zero outside place areas.
    field : ndarray of float32, shape (N, 3)
        Centre x, y and SD of the place preference, in fractions of the picture's width.
    size_power : ndarray of float32, shape (N,)
        An object counts by its size to this power.
    """

    voxel: npt.NDArray[np.int64]
    weight: Floats
    backdrop: Floats
    field: Floats
    size_power: Floats


def draw_categories(
    anatomy: Anatomy, voxel: npt.NDArray[np.int64], random: np.random.Generator
) -> CategoryTuning:
    """Draw the preferences of the voxels `voxel`."""
    n = len(voxel)
    atlas = np.array([area.atlas or "" for area in AREAS])[anatomy.area[voxel]]
    mean = np.array(
        [[_PREFERENCE[name].get(kind, 0.0) for kind in CATEGORIES] for name in atlas]
    ).reshape(n, len(CATEGORIES))
    scenic = (atlas == "floc-places")[:, None]
    backdrop = np.array([_BACKDROP.get(kind, 0.0) for kind in BACKGROUNDS])
    backdrop = backdrop + _SPREAD * random.standard_normal((n, len(BACKGROUNDS)))
    # The opposite half of the picture counts more, but the whole picture counts.
    centre_x = np.where(anatomy.left[voxel], 0.62, 0.38) + 0.08 * random.standard_normal(n)
    centre_y = 0.5 + 0.1 * random.standard_normal(n)
    return CategoryTuning(
        voxel=voxel,
        weight=(mean + _SPREAD * random.standard_normal(mean.shape)).astype(np.float32),
        backdrop=np.where(scenic, backdrop, 0).astype(np.float32),
        field=np.column_stack([centre_x, centre_y, random.uniform(0.3, 0.6, n)]).astype(np.float32),
        size_power=random.uniform(0.4, 1.2, n).astype(np.float32),
    )


def category_response(tuning: CategoryTuning, scenes: list[Scene]) -> Floats:
    """Noise-free responses, shape (B, N), in arbitrary units.

    Parameters
    ----------
    tuning : CategoryTuning
    scenes : list of Scene
        Every scene has at least one object.

    Returns
    -------
    ndarray of float32, shape (B, N)
        Sum over objects of preference x size^power x Gaussian of the distance to the field's
        centre, plus the backdrop's share.
    """
    items = [item for scene in scenes for item in scene.objects]
    kind = np.array([CATEGORIES.index(item.category) for item in items])
    x, y, size = np.array([(item.x, item.y, item.size) for item in items]).T
    squared = (x[:, None] - tuning.field[:, 0]) ** 2 + (y[:, None] - tuning.field[:, 1]) ** 2
    each = tuning.weight.T[kind] * np.exp(-squared / (2 * tuning.field[:, 2] ** 2))
    each *= (size[:, None] / 0.5) ** tuning.size_power
    first = np.cumsum([0] + [len(scene.objects) for scene in scenes[:-1]])
    objects = np.add.reduceat(each, first, axis=0)
    backdrop = np.array([BACKGROUNDS.index(scene.background.kind) for scene in scenes])
    return np.asarray(objects + tuning.backdrop.T[backdrop], np.float32)
