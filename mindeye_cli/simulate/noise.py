"""Trial noise: nuisance factors shared within and across areas, smooth noise, session drift.

Every voxel's trial noise has unit variance, of which `SHARED` comes from a few factors. Slow drift
and each session's gain come on top.

Shapes: `V` voxels, `F` factors, `T` trials of one session.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse, spatial

from mindeye_cli.core.sampler import rng
from mindeye_cli.simulate.anatomy import Anatomy
from mindeye_cli.simulate.areas import AREAS, SUPPRESSORS

Floats = npt.NDArray[np.float32]

SHARED = 0.40
_GLOBAL_SHARE = 0.12  # of the noise variance; the rest of SHARED belongs to an area's own factors
_N_GLOBAL = 4
_N_LOCAL = 2
_SMOOTHING = 0.7  # SD of the spatial smoothing in voxels
_DRIFT = 0.15  # SD of the drift over a session, in units of the trial noise
_GAIN = 0.08  # SD of the logarithm of a session's gain, common to all voxels
_VOXEL_GAIN = 0.05  # and of each voxel's own part


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """The truth about one subject's noise.

    Parameters
    ----------
    loadings : ndarray of float32, shape (F, V)
        Weight of every factor in every voxel; squares sum to `SHARED` over factors.
    factors : tuple of str
        The areas that each factor belongs to, joined by "+"; "all" for the global ones.
    smoothing : sparse array, shape (V, V)
        Turns white noise into smooth noise of variance 1 - `SHARED`.
    """

    loadings: Floats
    factors: tuple[str, ...]
    smoothing: sparse.csr_array


def draw_noise(anatomy: Anatomy, seed: int, subject: int) -> Noise:
    """Draw the factors' loadings and build the smoothing of one subject."""
    random = rng(seed, "noise", subject)
    n = len(anatomy.ijk)
    groups = _groups()
    parts = [_loadings(random, np.ones(n, bool), _N_GLOBAL, _GLOBAL_SHARE)]
    names = ["all"] * _N_GLOBAL
    for members in groups:
        inside = anatomy.voxels_of(*members)
        parts.append(_loadings(random, inside, _N_LOCAL, SHARED - _GLOBAL_SHARE))
        names += ["+".join(members)] * _N_LOCAL
    return Noise(
        loadings=np.concatenate(parts).astype(np.float32),
        factors=tuple(names),
        smoothing=_smoothing(anatomy.ijk),
    )


def session_noise(noise: Noise, trials: int, random: np.random.Generator) -> Floats:
    """Trial noise of one session, shape (T, V), unit variance."""
    n_factors, n_voxels = noise.loadings.shape
    shared = random.standard_normal((trials, n_factors), np.float32) @ noise.loadings
    private = random.standard_normal((trials, n_voxels), np.float32)
    return np.asarray(shared + (noise.smoothing @ private.T).T, np.float32)


def session_drift(noise: Noise, trials: int, random: np.random.Generator) -> Floats:
    """Slow drift of one session, shape (T, V): smooth in time and in space."""
    time = np.linspace(0, 1, trials, dtype=np.float32)
    courses = np.stack(
        [np.sqrt(3) * (2 * time - 1)]
        + [np.sqrt(2) * np.cos(np.pi * cycles * time) for cycles in (1, 2, 3)]
    )
    maps = noise.smoothing @ random.standard_normal((noise.loadings.shape[1], len(courses)))
    maps *= _DRIFT / np.sqrt(len(courses) * (1 - SHARED))
    return np.asarray(courses.T @ maps.T, np.float32)


def session_gain(n_voxels: int, random: np.random.Generator) -> Floats:
    """Gain of every voxel in one session, shape (V,)."""
    logarithm = _GAIN * random.standard_normal() + _VOXEL_GAIN * random.standard_normal(n_voxels)
    return np.exp(logarithm).astype(np.float32)


def _groups() -> list[tuple[str, ...]]:
    """Areas that share their local factors: suppressors with their partners, V1v with V1d, ..."""
    groups = [(name, *partners) for name, partners in SUPPRESSORS.items()]
    taken = {name for group in groups for name in group}
    stems: dict[str, list[str]] = {}
    for area in AREAS:
        if area.name not in taken:
            stem = area.name[:-1] if area.drive == "gabor" else area.name
            stems.setdefault(stem, []).append(area.name)
    return groups + [tuple(names) for names in stems.values()]


def _loadings(
    random: np.random.Generator, inside: npt.NDArray[np.bool_], count: int, variance: float
) -> npt.NDArray[np.float64]:
    """Loadings of `count` factors, shape (count, V), that give `variance` to the voxels inside."""
    weights = random.standard_normal((count, len(inside)))
    # The first factor raises or lowers the whole group together, as arousal or motion does.
    weights[0] = np.abs(weights[0]) + 0.5
    weights *= np.sqrt(variance / (weights**2).sum(0)) * inside
    return weights


def _smoothing(ijk: npt.NDArray[np.int16]) -> sparse.csr_array:
    """Gaussian smoothing between voxels, rows scaled to variance 1 - `SHARED`."""
    tree = spatial.cKDTree(ijk.astype(np.float64))
    near = tree.query_pairs(2.9 * _SMOOTHING, output_type="ndarray")
    squared = ((ijk[near[:, 0]].astype(float) - ijk[near[:, 1]]) ** 2).sum(1)
    # White noise smoothed with SD s has correlation exp(-d^2 / 4 s^2).
    weight = np.exp(-squared / (2 * _SMOOTHING**2))
    n = len(ijk)
    rows = np.concatenate([near[:, 0], near[:, 1], np.arange(n)])
    columns = np.concatenate([near[:, 1], near[:, 0], np.arange(n)])
    matrix = sparse.csr_array((np.concatenate([weight, weight, np.ones(n)]), (rows, columns)))
    spread = np.sqrt((matrix**2).sum(1))
    scaled = sparse.diags_array(np.sqrt(1 - SHARED) / spread) @ matrix
    return sparse.csr_array(scaled.astype(np.float32))
