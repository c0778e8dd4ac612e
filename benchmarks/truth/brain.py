"""Superposed concepts, areas with and without signal, and noise that a decoder cancels.

96 concepts, 5 of them in an image, superposed in 64 dimensions. 20 areas of 75 voxels; 60 % of the
voxels of the first 12 respond to 2 of their area's 8 concepts. The last 8 have no signal: 6 are
*suppressors*, each sharing 2 strong nuisance factors with a tuned area, 2 are coupled to nothing.

Shapes: `N` images, `C` concepts, `D` dimensions, `V` voxels, `A` areas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CONCEPTS, ACTIVE, WIDTH = 96, 5, 64
AREAS, TUNED, SUPPRESSORS, SIZE = 20, 12, 6, 75


@dataclass(frozen=True, slots=True, kw_only=True)
class Brain:
    """Concept directions (C, D), gains (C, V), and each voxel's area (V,)."""

    directions: np.ndarray
    gains: np.ndarray
    area: np.ndarray
    loadings: np.ndarray
    signal: float

    def images(self, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Which concepts images hold, bool (N, C), and their embeddings (N, D)."""
        draw = np.random.default_rng(seed)
        chosen = np.argsort(draw.random((n, CONCEPTS)), axis=1)[:, :ACTIVE]
        held = np.zeros((n, CONCEPTS), bool)
        np.put_along_axis(held, chosen, True, axis=1)
        return held, (held @ self.directions).astype(np.float32)

    def responses(self, held: np.ndarray, seed: int) -> np.ndarray:
        """One noisy trial of each image, z-scored as `prepare` does it, float32 (N, V)."""
        draw = np.random.default_rng(seed)
        clean = held @ self.gains
        clean = (clean - clean.mean(0)) / np.maximum(clean.std(0), 1e-9)
        noise = draw.standard_normal((len(held), len(self.loadings))) @ self.loadings
        noise += np.sqrt(1 - (self.loadings**2).sum(0)) * draw.standard_normal(noise.shape)
        values = np.sqrt(self.signal) * clean + np.sqrt(1 - self.signal) * noise
        return ((values - values.mean(0)) / values.std(0)).astype(np.float32)

    def truth(self, held: np.ndarray) -> np.ndarray:
        """How strongly voxels answer for the concepts that images hold, (N, V)."""
        return np.abs(held @ self.gains)

    def by_area(self, values: np.ndarray) -> np.ndarray:
        """Means over the areas, (..., V) to (..., A)."""
        return values.reshape(*values.shape[:-1], AREAS, SIZE).mean(-1)


def make_brain(seed: int, signal: float, global_factors: int = 2) -> Brain:
    """Draw a brain; `signal` is the share of a tuned voxel's variance of one trial."""
    draw = np.random.default_rng(seed)
    directions = draw.standard_normal((CONCEPTS, WIDTH))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    area = np.repeat(np.arange(AREAS), SIZE)
    gains = np.zeros((CONCEPTS, AREAS * SIZE))
    order = draw.permutation(CONCEPTS)
    for number in range(TUNED):
        own = order[number * 8 : number * 8 + 8]
        for voxel in np.flatnonzero(area == number):
            if draw.random() < 0.6:
                gains[draw.choice(own, 2, replace=False), voxel] = draw.uniform(0.5, 1.5, 2)
    return Brain(
        directions=directions,
        gains=gains,
        area=area,
        loadings=_loadings(draw, area, global_factors),
        signal=signal,
    )


def _loadings(draw: np.random.Generator, area: np.ndarray, global_factors: int) -> np.ndarray:
    """Nuisance factors: 2 for each suppressor and its tuned partner, and some for all voxels."""
    shared = 0.5 if global_factors > 2 else 0.15
    rows = [
        np.sqrt(shared / global_factors) * draw.choice([-1, 1], len(area))
        for _ in range(global_factors)
    ]
    for k in range(SUPPRESSORS):
        both = np.isin(area, (k, TUNED + k))
        rows += [both * np.sqrt(0.2) * draw.choice([-1, 1], len(area)) for _ in range(2)]
    return np.array(rows)
