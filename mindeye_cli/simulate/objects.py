"""Areas that respond to the objects of a scene: by category, by place (LO), by colour (VO).

Shapes: `B` images, `O` objects of all images, `N` voxels of these areas, `K` categories.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mindeye_cli.core.scenes import BACKGROUNDS, CATEGORIES, COLOURS, Scene
from mindeye_cli.simulate.anatomy import Anatomy
from mindeye_cli.simulate.areas import AREAS

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

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
# LO and VO respond to every category alike, but for this SD.
_EVEN_SPREAD = 0.15
_COLOUR_WIDTH = 0.22  # SD of colour tuning in RGB, each channel from 0 to 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectTuning:
    """Parameters of the tuned voxels of the areas that respond to objects.

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
    colour : ndarray of float32, shape (N, 3)
        Preferred RGB, 0 to 1; NaN outside VO, where colour does not matter.
    """

    voxel: npt.NDArray[np.int64]
    weight: Floats
    backdrop: Floats
    field: Floats
    size_power: Floats
    colour: Floats


def draw_objects(
    anatomy: Anatomy, voxel: npt.NDArray[np.int64], random: np.random.Generator
) -> ObjectTuning:
    """Draw the preferences of the voxels `voxel`."""
    n = len(voxel)
    atlas = np.array([area.atlas or "" for area in AREAS])[anatomy.area[voxel]]
    drive = np.array([area.drive for area in AREAS])[anatomy.area[voxel]]
    by_category = drive == "category"
    mean = np.array(
        [[_PREFERENCE.get(name, {}).get(kind, 0.0) for kind in CATEGORIES] for name in atlas]
    ).reshape(n, len(CATEGORIES))
    mean[~by_category] = 1.0
    spread = np.where(by_category, _SPREAD, _EVEN_SPREAD)[:, None]
    scenic = (atlas == "floc-places")[:, None]
    backdrop = np.array([_BACKDROP.get(kind, 0.0) for kind in BACKGROUNDS])
    backdrop = backdrop + _SPREAD * random.standard_normal((n, len(BACKGROUNDS)))
    return ObjectTuning(
        voxel=voxel,
        weight=(mean + spread * random.standard_normal(mean.shape)).astype(np.float32),
        backdrop=np.where(scenic, backdrop, 0).astype(np.float32),
        field=_fields(anatomy.left[voxel], drive, random).astype(np.float32),
        size_power=random.uniform(0.4, 1.2, n).astype(np.float32),
        colour=_colours(drive, random).astype(np.float32),
    )


def object_response(tuning: ObjectTuning, scenes: list[Scene]) -> Floats:
    """Noise-free responses, shape (B, N), in arbitrary units.

    Parameters
    ----------
    tuning : ObjectTuning
    scenes : list of Scene
        Every scene has at least one object.

    Returns
    -------
    ndarray of float32, shape (B, N)
        Sum over objects of preference x size^power x Gaussian of the distance to the field's
        centre (x Gaussian of the distance to the preferred colour), plus the backdrop's share.
    """
    items = [item for scene in scenes for item in scene.objects]
    kind = np.array([CATEGORIES.index(item.category) for item in items])
    x, y, size = np.array([(item.x, item.y, item.size) for item in items]).T
    squared = (x[:, None] - tuning.field[:, 0]) ** 2 + (y[:, None] - tuning.field[:, 1]) ** 2
    each = tuning.weight.T[kind] * np.exp(-squared / (2 * tuning.field[:, 2] ** 2))
    each *= (size[:, None] / 0.5) ** tuning.size_power
    selective = np.flatnonzero(~np.isnan(tuning.colour[:, 0]))
    rgb = np.array([item.rgb for item in items]) / 255
    apart = ((rgb[:, None] - tuning.colour[selective]) ** 2).sum(-1)
    each[:, selective] *= np.exp(-apart / (2 * _COLOUR_WIDTH**2))
    first = np.cumsum([0] + [len(scene.objects) for scene in scenes[:-1]])
    objects = np.add.reduceat(each, first, axis=0)
    backdrop = np.array([BACKGROUNDS.index(scene.background.kind) for scene in scenes])
    return np.asarray(objects + tuning.backdrop.T[backdrop], np.float32)


def _fields(
    left: npt.NDArray[np.bool_], drive: npt.NDArray[np.str_], random: np.random.Generator
) -> Doubles:
    """Place preferences, shape (N, 3): narrow and spread over the opposite half for LO, else wide.

    In the wide ones the opposite half of the picture counts more, but the whole picture counts.
    """
    n = len(left)
    narrow = drive == "place"
    x = np.where(narrow, random.uniform(0.48, 0.88, n), 0.62 + 0.08 * random.standard_normal(n))
    y = np.where(narrow, random.uniform(0.12, 0.88, n), 0.5 + 0.1 * random.standard_normal(n))
    spread = np.where(narrow, random.uniform(0.1, 0.22, n), random.uniform(0.3, 0.6, n))
    return np.column_stack([np.where(left, x, 1 - x), y, spread])


def _colours(drive: npt.NDArray[np.str_], random: np.random.Generator) -> Doubles:
    """Preferred colours near the named ones, shape (N, 3); NaN where colour does not matter."""
    named = np.array(list(COLOURS.values())) / 255
    chosen = named[random.integers(len(named), size=len(drive))]
    chosen = np.clip(chosen + 0.08 * random.standard_normal(chosen.shape), 0, 1)
    return np.where((drive == "surface")[:, None], chosen, np.nan)
