"""Clustered unit vectors that stand in for image embeddings, written as LAION publishes shards.

2,000 clusters, weighted by Zipf's law, around 200 topics; each cluster spans 64 directions of one
manifold of 256; a common mean brings random pairs to a cosine of about 0.5, as CLIP's are; weak
noise in every direction; rows at length 1 in float16. A shard is a function of (seed, its number).

Shapes: `n` rows, `D` width.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
BLOCK = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Of the generator; the benchmark's numbers are for these."""

    dim: int = 768
    manifold: int = 256
    topics: int = 200
    clusters: int = 2000
    directions: int = 64
    zipf: float = 1.0
    mean: float = 1.6  # length of the common mean
    topic: float = 0.9  # of a topic's centre
    cluster: float = 0.8  # of a cluster's centre about its topic's
    within: float = 1.0  # of a row about its cluster's centre
    noise: float = 0.15  # of what lies in any direction
    seed: int = 0


class Mixture:
    """The distribution; `rows` draws from it, `queries` draws new points and blurs them."""

    def __init__(self, parameters: Parameters) -> None:
        p = self.p = parameters
        g = np.random.default_rng([p.seed, 1])
        basis, _ = np.linalg.qr(g.standard_normal((p.dim, p.manifold)))
        self.basis = basis.T.astype(np.float32)  # (manifold, D)
        topics = _unit(g.standard_normal((p.topics, p.manifold))) * p.topic
        about = _unit(g.standard_normal((p.clusters, p.manifold))) * p.cluster
        self.centres = (topics[g.integers(p.topics, size=p.clusters)] + about).astype(np.float32)
        self.axes = [g.choice(p.manifold, p.directions, replace=False) for _ in range(p.clusters)]
        self.mean = (_unit(g.standard_normal((1, p.manifold))) * p.mean).astype(np.float32)
        weights = 1.0 / np.arange(1, p.clusters + 1) ** p.zipf
        self.weights = weights / weights.sum()

    def rows(self, count: int, *key: int) -> Floats:
        """Rows at length 1, float32 (count, D)."""
        p, g = self.p, np.random.default_rng([self.p.seed, 2, *key])
        of = g.choice(p.clusters, size=count, p=self.weights)
        inner = np.zeros((count, p.manifold), np.float32)
        spread = g.standard_normal((count, p.directions), dtype=np.float32)
        spread *= p.within / np.sqrt(p.directions)
        for row, cluster in enumerate(of):
            inner[row, self.axes[cluster]] = spread[row]
        inner += self.centres[of] + self.mean
        outer = g.standard_normal((count, p.dim), dtype=np.float32) * (p.noise / np.sqrt(p.dim))
        return _unit(inner @ self.basis + outer)

    def queries(self, count: int, cosine: float) -> Floats:
        """New rows with an error, half of it on the manifold, at this cosine to themselves."""
        rows, g = self.rows(count, 10**9), np.random.default_rng([self.p.seed, 3])
        if cosine >= 1:
            return rows
        on = g.standard_normal((count, self.p.manifold), dtype=np.float32) @ self.basis
        off = g.standard_normal(rows.shape, dtype=np.float32)
        error = _unit(_across(on, rows)) + _unit(_across(off, rows))
        return _unit(rows + np.sqrt(1 / cosine**2 - 1) * _unit(error))

    def write(self, folder: Path, n: int, shards: int) -> None:
        """Write `img_emb/img_emb_0000.npy` and so on, unless they are there."""
        home = folder / "img_emb"
        home.mkdir(parents=True, exist_ok=True)
        size = n // shards
        for number in range(shards):
            file = home / f"img_emb_{number:04d}.npy"
            if file.exists():
                continue
            beside = file.with_suffix(".partial")
            out = np.lib.format.open_memmap(
                beside, mode="w+", dtype=np.float16, shape=(size, self.p.dim)
            )
            for low in range(0, size, BLOCK):
                block = self.rows(min(BLOCK, size - low), number, low)
                out[low : low + len(block)] = block
            out.flush()
            beside.rename(file)


def _unit(x: NDArray[np.floating]) -> Floats:
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True), dtype=np.float32)


def _across(x: Floats, rows: Floats) -> Floats:
    return x - (x * rows).sum(axis=1, keepdims=True) * rows
