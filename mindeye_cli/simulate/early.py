"""V1-V3 and hV4: receptive fields over Gabor energy, brightness and colour.

A voxel sums energy channels (or, in hV4, hue channels) and signed brightness and colour channels
over one Gaussian receptive field; energies pass a compressive power, as in compressive spatial
summation (Kay et al. 2013).

Shapes: `B` images, `N` voxels of these areas, `C` channels, `G` grid cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mindeye_cli.simulate import filters
from mindeye_cli.simulate.anatomy import Anatomy
from mindeye_cli.simulate.areas import AREAS
from mindeye_cli.simulate.filters import standardise

Floats = npt.NDArray[np.float32]

_SIZE = 64.0
_EXPONENT = 0.5
# Receptive field SD in pixels at the fovea, its growth with eccentricity, and the preferred
# wavelength in octaves above 4 pixels.
_FIELD = {
    "V1": (4.0, 0.08, 0.4),
    "V2": (5.5, 0.10, 0.8),
    "V3": (7.5, 0.12, 1.2),
    "hV4": (8.5, 0.12, 1.5),
}
_LINEAR_SCALE = np.array([1.0, 0.7, 0.7])
# Mean share of the response that follows signed brightness and colour.
_LINEAR_SHARE = {"V1": 0.45, "V2": 0.40, "V3": 0.35, "hV4": 0.35}


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyTuning:
    """Parameters of the tuned voxels of V1-V3 and hV4.

    Parameters
    ----------
    voxel : ndarray of int64, shape (N,)
        Which voxels these rows are.
    field : ndarray of float32, shape (N, 3)
        Receptive field: x, y and SD in pixels of a 64-pixel picture, y downwards.
    orientation, wavelength : ndarray of float32, shape (N,)
        Preferred orientation (radians) and wavelength (pixels).
    hue : ndarray of float32, shape (N,)
        Preferred direction in the opponent plane (radians).
    energy, hues, linear : ndarray of float32, shapes (N, 12), (N, 8), (N, 3)
        Channel weights; V1-V3 have no `hues`, hV4 no `energy`.
    linear_share : ndarray of float32, shape (N,)
        Share of the signal's variance that follows `linear`.
    """

    voxel: npt.NDArray[np.int64]
    field: Floats
    orientation: Floats
    wavelength: Floats
    hue: Floats
    energy: Floats
    hues: Floats
    linear: Floats
    linear_share: Floats


def draw_early(
    anatomy: Anatomy, voxel: npt.NDArray[np.int64], random: np.random.Generator
) -> EarlyTuning:
    """Draw receptive fields and channel weights of the voxels `voxel`."""
    n = len(voxel)
    names = np.array([area.name.rstrip("vd") for area in AREAS])[anatomy.area[voxel]]
    constants = np.array([_FIELD.get(name, _FIELD["hV4"]) for name in names]).reshape(n, 3)
    centre = _retinotopy(anatomy, random)[voxel]
    eccentricity = np.hypot(*(centre - _SIZE / 2).T)
    spread = (constants[:, 0] + constants[:, 1] * eccentricity) * random.lognormal(0, 0.15, n)
    orientation = random.uniform(0, np.pi, n)
    octave = np.clip(constants[:, 2] + 0.6 * random.standard_normal(n), -0.5, 2.5)
    hue = random.uniform(0, 2 * np.pi, n)
    colour = names == "hV4"
    energy = _energy_weights(orientation, octave, random.uniform(0.5, 2.0, n)) * ~colour[:, None]
    angles = 2 * np.pi * np.arange(filters.HUES) / filters.HUES
    hues = np.exp(2.0 * (np.cos(hue[:, None] - angles) - 1)) * colour[:, None]
    mean_share = np.array([_LINEAR_SHARE.get(name, 0.0) for name in names]).reshape(n)
    return EarlyTuning(
        voxel=voxel,
        field=np.column_stack([centre, spread]).astype(np.float32),
        orientation=orientation.astype(np.float32),
        wavelength=(4.0 * 2.0**octave).astype(np.float32),
        hue=hue.astype(np.float32),
        energy=energy.astype(np.float32),
        hues=hues.astype(np.float32),
        linear=(random.standard_normal((n, 3)) * _LINEAR_SCALE).astype(np.float32),
        linear_share=random.beta(8 * mean_share, 8 * (1 - mean_share), n).astype(np.float32),
    )


def early_response(tuning: EarlyTuning, maps: dict[str, Floats]) -> Floats:
    """Noise-free responses, shape (B, N), in arbitrary units."""
    window = _window(tuning.field)
    driven = np.sqrt(1 - tuning.linear_share) * standardise(
        _summed(_scaled(maps["energy"]), tuning.energy, window) ** _EXPONENT
        + _summed(_scaled(maps["hue"]), tuning.hues, window) ** _EXPONENT
    )
    # Signed channels are centred over pictures, so that departures from the mean picture count.
    signed = maps["linear"] - maps["linear"].mean((0, 2), keepdims=True)
    signed /= np.maximum(signed.std((0, 2), keepdims=True), 1e-6)
    plain = np.sqrt(tuning.linear_share) * standardise(_summed(signed, tuning.linear, window))
    return np.asarray(driven + plain, np.float32)


def _retinotopy(anatomy: Anatomy, random: np.random.Generator) -> Floats:
    """Centre of every voxel's receptive field, shape (V, 2), in pixels.

    Neighbours see neighbouring places: within an area, position along y and z is turned into
    position in the opposite half of the picture, its upper quarter for ventral areas and its lower
    quarter for dorsal ones.
    """
    place = np.empty((len(anatomy.ijk), 2))
    for index, area in enumerate(AREAS):
        for left in (True, False):
            members = np.flatnonzero((anatomy.area == index) & (anatomy.left == left))
            jittered = anatomy.ijk[members, 1:] + random.uniform(-0.5, 0.5, (len(members), 2))
            rank = (jittered.argsort(0).argsort(0) + 0.5) / max(len(members), 1)
            across = rank[:, 0] * 0.48 + 0.02
            low, high = {"v": (0.02, 0.52), "d": (0.48, 0.98)}.get(area.name[-1], (0.02, 0.98))
            x = 0.5 + across - 0.04 if left else 0.5 - across + 0.04
            place[members] = np.column_stack([x, low + rank[:, 1] * (high - low)])
    return (place * _SIZE).astype(np.float32)


def _energy_weights(
    orientation: npt.NDArray[np.float64],
    octave: npt.NDArray[np.float64],
    sharpness: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Weight of each Gabor channel, (N, 12): von Mises in orientation, Gaussian in octaves."""
    angles = np.pi * np.arange(filters.ORIENTATIONS) / filters.ORIENTATIONS
    by_angle = np.exp(sharpness[:, None] * (np.cos(2 * (orientation[:, None] - angles)) - 1))
    octaves = np.log2(np.array(filters.WAVELENGTHS) / 4.0)
    by_octave = np.exp(-((octave[:, None] - octaves) ** 2) / (2 * 0.7**2))
    return (by_octave[:, :, None] * by_angle[:, None, :]).reshape(-1, filters.N_ENERGY)


def _window(field: Floats) -> Floats:
    """Receptive fields as weights over grid cells that sum to one, shape (N, G)."""
    cells = filters.cell_centres(int(_SIZE))
    squared = ((field[:, None, :2] - cells) ** 2).sum(-1)
    window = np.exp(-squared / (2 * field[:, 2:] ** 2))
    return np.asarray(window / window.sum(1, keepdims=True), np.float32)


def _summed(maps: Floats, weights: Floats, window: Floats) -> Floats:
    """Sum over channels and receptive field: (B, C, G), (N, C), (N, G) -> (B, N)."""
    total = np.zeros((len(maps), len(weights)), np.float32)
    for channel in range(maps.shape[1]):
        total += (maps[:, channel] @ window.T) * weights[:, channel]
    return total


def _scaled(maps: Floats) -> Floats:
    """Channels divided by their means over pictures and cells: coarse filters give more energy."""
    return maps / np.maximum(maps.mean((0, 2), keepdims=True), 1e-6)
