"""Clusters of images by their targets: whole kinds of images, to be held out of training.

The clusters are made of training images alone; a test image belongs to the nearest one afterwards.

Shapes: `N` images, `T` tokens, `D` width, `K` clusters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.sampler import rng
from mindeye_store import InvalidInput, Reader

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]

# Images read at once.
CHUNK = 256
ROUNDS = 50


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Cluster `number` (from 1) of `clusters`, in a SPACE."""

    number: int
    clusters: int
    space: str

    def rows(self, target: Reader, training: Rows, images: Rows) -> Rows:
        """Those of `images` that belong to the cluster; clusters are made of `training`."""
        centres = fit(target, training, self.clusters)
        return images[assign(target, images, centres) == self.number - 1]


def parse_held_out(text: str, space: str) -> HeldOut:
    """Read "3/8": cluster 3 of 8.

    Raises
    ------
    ValueError
        It is no such text.
    """
    match = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", text)
    if match is None or not int(match[1]) <= int(match[2]) or int(match[2]) < 2:
        raise ValueError(f"{text!r} is not a cluster such as 3/8")
    return HeldOut(int(match[1]), int(match[2]), space)


def fit(target: Reader, rows: Rows, clusters: int) -> Floats:
    """Centres of clusters of some images' targets, float64 (K, D): k-means on unit vectors.

    Tokens are averaged first. A pure function of the targets and the number.

    Raises
    ------
    InvalidInput
        There are fewer different images than clusters.
    """
    from scipy.cluster.vq import ClusterError, kmeans2  # a second of imports that few need

    vectors = _vectors(target, rows)
    try:
        if len(np.unique(vectors, axis=0)) < clusters:
            raise ClusterError("fewer different images")
        draw = rng(0, "clusters", clusters)
        centres, _ = kmeans2(vectors, clusters, iter=ROUNDS, minit="++", missing="raise", rng=draw)
    except ClusterError as problem:
        raise InvalidInput(
            f"{len(rows)} images cannot be put into {clusters} clusters: {problem}",
            where="data.hold_out",
            fix="ask for fewer clusters",
        ) from problem
    return np.asarray(centres, dtype=np.float64)


def assign(target: Reader, rows: Rows, centres: Floats) -> Rows:
    """The nearest centre of each image, int64 (N,)."""
    vectors = _vectors(target, rows)
    distances = ((vectors[:, None] - centres[None]) ** 2).sum(axis=2)
    return distances.argmin(axis=1).astype(np.int64)


def _vectors(target: Reader, rows: Rows) -> Floats:
    parts = []
    for start in range(0, len(rows), CHUNK):
        values = np.asarray(target.read(rows[start : start + CHUNK]), dtype=np.float64)
        parts.append(values.mean(axis=1) if values.ndim == 3 else values.reshape(len(values), -1))
    vectors = np.concatenate(parts)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
