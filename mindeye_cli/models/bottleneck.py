"""A run whose trunk may pass k dimensions alone: how much of the brain does its score need?

The trunk's first linear map (of a ridge run, the whole map) is cut to rank k by the principal
components of its outputs over training responses: a singular value decomposition in the metric of
the data. Nothing is trained again, so the curve is a lower bound on what k dimensions could give
(after BrainBits, Mayo et al. 2024, which refits).

Shapes: `N` training responses, `B` rows, `V` voxels, `Q` outputs of the map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindeye_cli.core.gram import centred_gram
from mindeye_cli.models.run_model import RunModel

Floats = NDArray[np.float32]
# Variance below this share of the first component's is rounding of float32 outputs.
ROUNDING = 1e-10


class Bottleneck:
    """The map's principal components, and predictions through the first k of them.

    Parameters
    ----------
    model : RunModel
        High-level, low-level or ridge.
    voxels : float32 array (N, V)
        Training responses.
    """

    def __init__(self, model: RunModel, voxels: Floats) -> None:
        self.model = model
        outputs = self._outputs(voxels)
        self.mean = outputs.mean(axis=0)
        centred = outputs - self.mean
        # The decomposition of the smaller side: ridge has as many outputs as a target has values.
        values, vectors = np.linalg.eigh(centred_gram(outputs))
        kept = values[::-1] > max(values[-1], 0.0) * ROUNDING
        order = np.argsort(values)[::-1][kept]
        scale = np.sqrt(values[order])
        self.components = ((vectors[:, order] / scale).T @ centred).astype(np.float32)

    @property
    def rank(self) -> int:
        """How many components there are."""
        return len(self.components)

    def predictor(self, output: str, dimensions: int | None) -> Callable[[Floats], Floats]:
        """`predict` of one output and width."""
        return lambda voxels: self.predict(voxels, output, dimensions)

    def predict(self, voxels: Floats, output: str, dimensions: int | None) -> Floats:
        """One output of the run through the first `dimensions` components; None passes all."""
        wanted: Sequence[str] = (output,)
        if dimensions is None:
            return self.model.predict(voxels, outputs=wanted)[output]
        parts = self.components[:dimensions]
        layer = self.model.trunk
        if layer is None:
            full = self.model.predict(voxels, outputs=wanted)[output]
            flat = full.reshape(len(full), -1)
            return np.asarray(self._cut(flat, parts).reshape(full.shape))
        mean, base = (torch.from_numpy(values) for values in (self.mean, parts))

        def cut(_: Any, __: Any, found: Tensor) -> Tensor:
            axes, centre = base.to(found), mean.to(found)
            return centre + (found - centre) @ axes.T @ axes

        handle = layer.register_forward_hook(cut)
        try:
            return self.model.predict(voxels, outputs=wanted)[output]
        finally:
            handle.remove()

    def _cut(self, flat: Floats, parts: Floats) -> Floats:
        return np.asarray(self.mean + (flat - self.mean) @ parts.T @ parts, dtype=np.float32)

    def _outputs(self, voxels: Floats) -> Floats:
        """The map's outputs, float32 (N, Q)."""
        layer = self.model.trunk
        if layer is None:
            found = self.model.predict(voxels, outputs=("prediction",))["prediction"]
            return np.asarray(found.reshape(len(found), -1))
        with torch.no_grad():
            rows = torch.from_numpy(np.asarray(voxels, dtype=np.float32))
            return np.asarray(layer(rows.to(layer.weight.device)).float().cpu().numpy())
