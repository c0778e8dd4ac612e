"""What responds: the change expected in every voxel and area for a direction of the SPACE.

The map is the encoding model's prediction times the voxel's cross-validated r, not below 0, so that
voxels it cannot predict stay silent. An area's `score` is the mean of the map over its voxels,
`strength` the mean of its size whatever the sign.

Which areas are *named* is decided by refits on permuted image rows: z of every voxel, its mean over
an area in units of its spread over refits, against the largest such mean over all areas (max
statistic). r takes no part in that, for it was found on the responses that the refits permute. An
area is named only where the encoding model also works: with a mean r that noise would not reach.

Shapes: `V` voxels, `A` areas, `J` refits, `D` features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindeye_cli.core.significance import fdr, two_sided
from mindeye_cli.explain.encoder import Encoder
from mindeye_cli.models.encoding import row_weights
from mindeye_cli.models.encoding_refits import permuted_spread

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
QUESTION = "responds"
BOOTSTRAP, PERMUTED = 100, 200
LEVEL = 0.05
# One-sided 5 % quantile of the normal distribution.
_QUANTILE = 1.645


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """Expected change for one direction.

    Attributes
    ----------
    change, map, z, q : float32 arrays (V,)
        In units of the responses; times r; over its spread under permuted rows; false discovery
        rate of z.
    score, strength : float64 arrays (A,)
    deviations : float64 array (J, A)
        Of the score over wild-bootstrap refits.
    t, p : float64 arrays (A,)
        Mean z over its spread; p of the largest over all areas.
    works : bool array (A,)
        The encoding model predicts the area's held-out responses.
    """

    change: Floats
    map: Floats
    z: Floats
    q: Floats
    score: Doubles
    strength: Doubles
    deviations: Doubles
    t: Doubles
    p: Doubles
    works: NDArray[np.bool_]

    @property
    def named(self) -> NDArray[np.bool_]:
        """Areas that respond more than noise would make any area do, bool (A,)."""
        return (self.p <= LEVEL) & self.works

    def interval(self, more: Doubles | None = None) -> Doubles:
        """95 % interval of the score over refits, and over `more` deviations (J, A) of the set."""
        deviations = self.deviations if more is None else self.deviations + more
        low, high = np.quantile(deviations, [0.975, 0.025], axis=0)
        return np.stack([self.score - low, self.score - high], axis=1)


def respond(
    encoder: Encoder,
    direction: NDArray[np.floating],
    *,
    bootstrap: int = BOOTSTRAP,
    permuted: int = PERMUTED,
    seed: int = 0,
) -> Response:
    """Push a direction through the encoding model and its refits.

    Parameters
    ----------
    encoder : Encoder
    direction : float array (D,)
        Such as an image's features less the references' mean.
    bootstrap, permuted : int
        Numbers of refits.
    seed : int

    Returns
    -------
    Response
    """
    refits, means = encoder.refits, encoder.areas.means
    model = refits.model
    change = model.contrast(direction[None])[0]
    weights = row_weights(refits.counts.numpy())
    spread = permuted_spread(model, refits.scores, weights, refits.variance, direction[None])[0]
    spread = spread.clamp_min(1e-12)
    z = change / spread
    by_area = (means * model.r.clamp_min(0), means / spread)
    deviations, own = refits.draw(
        direction, by_area, bootstrap=bootstrap, permuted=permuted, seed=seed
    )
    seen = means @ z
    scale = own.std(dim=0).clamp_min(1e-12)
    t, largest = seen / scale, (own / scale).amax(dim=1)
    p = (1 + (largest[:, None] >= t).sum(dim=0)) / (1 + permuted)
    weighted = change * model.r.clamp_min(0)
    return Response(
        change=change.numpy(),
        map=weighted.numpy(),
        z=z.numpy(),
        q=fdr(two_sided(z.numpy())),
        score=_doubles(means @ weighted),
        strength=_doubles(means @ weighted.abs()),
        deviations=_doubles(deviations),
        t=_doubles(t),
        p=_doubles(p),
        works=working_areas(encoder),
    )


def working_areas(encoder: Encoder) -> NDArray[np.bool_]:
    """Areas whose mean cross-validated r noise alone would not reach, bool (A,).

    r of one voxel without signal varies by `1 / sqrt(N)`, and a mean over voxels by no more.
    """
    r = encoder.areas.means @ encoder.refits.model.r
    return np.asarray(r.numpy() > _QUANTILE / np.sqrt(len(encoder.trained)))


def area_scores(encoder: Encoder, vectors: Floats, origin: Floats) -> Doubles:
    """Scores of the areas for many images at once, (n, D) to float64 (n, A)."""
    model = encoder.refits.model
    folded = (encoder.areas.means * model.r.clamp_min(0)) @ model.weight.T
    return np.asarray((torch.from_numpy(vectors - origin) @ folded.T).double().numpy())


def _doubles(values: Tensor) -> Doubles:
    return np.asarray(values.double().numpy())


def record(response: Response, number: int, interval: Doubles) -> dict[str, Any]:
    """One area's line for JSON."""
    return {
        "score": float(response.score[number]),
        "ci95": [float(v) for v in interval[number]],
        "strength": float(response.strength[number]),
        "t": float(response.t[number]),
        "p": float(response.p[number]),
        "named": bool(response.named[number]),
    }
