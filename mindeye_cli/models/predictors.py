"""What each kind of trained model predicts, on the device that is at hand.

Shapes: `B` rows of responses, `V` voxels, `T` tokens, `D` width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindeye_cli.core.norms import impose_norm
from mindeye_cli.core.sampler import derived_seed
from mindeye_cli.models.high_level import HighLevelModel
from mindeye_cli.models.lowlevel import LowLevelModel
from mindeye_cli.models.ridge_model import RidgeModel
from mindeye_cli.models.running import pick_device, use_fast_products
from mindeye_store import UsageProblem

Floats = NDArray[np.float32]
# Rows computed at once: more gain nothing on a CPU and cost memory at 257 tokens.
BATCH = 64


class Predictor(Protocol):
    """What every kind of run offers."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what `predict` can give."""

    def predict(
        self, voxels: Floats, wanted: Sequence[str], seed: int, first: int
    ) -> dict[str, Floats]:
        """The outputs asked for of a batch of rows; `first` is the number of its first row."""


@runtime_checkable
class Embedding(Protocol):
    """A predictor whose output is an embedding that gradients can pass through."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""

    @property
    def affine(self) -> bool:
        """Whether `embed` is an affine map."""

    def embed(self, voxels: Tensor) -> Tensor:
        """The retrieval embedding or the prediction, flattened: (B, V) to (B, Q), on `device`."""


class HighLevelPredictor:
    """Backbone, projector and prior of a run."""

    affine = False

    def __init__(
        self, model: HighLevelModel, norm: str, shape: tuple[int, ...], place: int
    ) -> None:
        self.device = pick_device()
        use_fast_products(self.device)
        self.model, self.norm, self.shape, self.place = model.to(self.device), norm, shape, place
        self.outputs = ("backbone", "retrieval", *(("prior",) if model.prior else ()))

    @torch.no_grad()
    def predict(
        self, voxels: Floats, wanted: Sequence[str], seed: int, first: int
    ) -> dict[str, Floats]:
        """See `Predictor`. The backbone runs once, whatever is wanted of it."""
        parts = _parts(voxels, self.place, self.model.config.n_voxels, self.device)
        tokens = self.model.backbone(parts)
        found: dict[str, Floats] = {}
        for name in wanted:
            if name == "prior":
                seeds = [derived_seed(seed, "prior", first + row) for row in range(len(voxels))]
                found[name] = self.sample(tokens.cpu().numpy(), seeds)
                continue
            out = self.model.projector(tokens) if name == "retrieval" else tokens
            found[name] = np.asarray(out.cpu().numpy().reshape(-1, *self.shape))
        return found

    def embed(self, voxels: Tensor) -> Tensor:
        """See `Embedding`: the retrieval head's tokens."""
        parts = [
            voxels if number == self.place else voxels.new_empty((0, size))
            for number, size in enumerate(self.model.config.n_voxels)
        ]
        tokens: Tensor = self.model.projector(self.model.backbone(parts))
        return tokens.flatten(1)

    @torch.no_grad()
    def sample(
        self, tokens: Floats, seeds: Sequence[int], steps: int | None = None, samples: int = 1
    ) -> Floats:
        """Prior samples in the target's shape and norm, each the mean of `samples` draws."""
        if self.model.prior is None:
            raise UsageProblem("the run was trained without a prior", fix="--set losses.prior=30")
        prior = self.model.prior
        flat = torch.from_numpy(tokens).reshape(len(tokens), *prior.shape).to(self.device)
        # Drawn on the CPU everywhere, so that a seed means the same sample on every device.
        sources = [
            torch.Generator().manual_seed(s) for seed in seeds for s in _seeds(seed, samples)
        ]
        rows = torch.arange(len(flat), device=self.device).repeat_interleave(samples)
        parts = [
            prior.sample(flat[rows[i : i + BATCH]], sources[i : i + BATCH], steps).cpu().numpy()
            for i in range(0, len(rows), BATCH)
        ]
        drawn = np.concatenate(parts).reshape(-1, samples, *self.shape)
        mean = drawn[:, 0] if samples == 1 else drawn.mean(axis=1, dtype=np.float64)
        return impose_norm(mean, self.norm)


class LowLevelPredictor:
    """Latents of a low-level run."""

    outputs = ("latent",)

    def __init__(self, model: LowLevelModel, place: int) -> None:
        self.device = pick_device()
        use_fast_products(self.device)
        self.model, self.place = model.to(self.device), place

    @torch.no_grad()
    def predict(
        self, voxels: Floats, wanted: Sequence[str], seed: int, first: int
    ) -> dict[str, Floats]:
        """See `Predictor`."""
        parts = _parts(voxels, self.place, self.model.config.n_voxels, self.device)
        return {"latent": np.asarray(self.model(parts).cpu().numpy())}


class RidgePredictor:
    """Predictions of a ridge run."""

    affine = True
    outputs = ("prediction",)

    def __init__(self, model: RidgeModel, shape: tuple[int, ...]) -> None:
        self.model, self.shape = model, shape

    def predict(
        self, voxels: Floats, wanted: Sequence[str], seed: int, first: int
    ) -> dict[str, Floats]:
        """See `Predictor`."""
        return {"prediction": self.model.predict(voxels).reshape(-1, *self.shape)}

    @property
    def device(self) -> torch.device:
        """Its matrices stay in main memory."""
        return torch.device("cpu")

    def embed(self, voxels: Tensor) -> Tensor:
        """See `Embedding`."""
        weight, intercept = map(torch.from_numpy, (self.model.weight, self.model.intercept))
        columns = voxels @ weight + intercept
        whitening = self.model.whitening
        if whitening is None:
            return columns
        components = torch.from_numpy(whitening.components).float()
        spread, mean = (torch.from_numpy(a).float() for a in (whitening.spread, whitening.mean))
        return (columns * spread) @ components + mean


def _seeds(seed: int, samples: int) -> list[int]:
    """Seeds of the draws behind one sample: its own, then others that follow from it."""
    return [int(seed), *(derived_seed(seed, "prior sample", k) for k in range(1, samples))]


def _parts(
    voxels: Floats, place: int, n_voxels: Sequence[int], device: torch.device
) -> list[Tensor]:
    """One subject's rows in its place, and no rows for the others."""
    return [
        torch.from_numpy(voxels if number == place else np.empty((0, size), np.float32)).to(device)
        for number, size in enumerate(n_voxels)
    ]
