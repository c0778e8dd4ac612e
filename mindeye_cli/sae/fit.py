"""Training of one sparse autoencoder: a pure function of rows, configuration and seed.

Atoms that have not been used for a while are given the residual to explain (AuxK, Gao et al. 2024,
arXiv:2406.04093, appendix A.2), so that they come back to life.

Shapes: `N` training rows, `B` rows of a step, `D` width, `F` atoms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mindeye_cli.core.sampler import epoch_order, torch_generator
from mindeye_cli.models.running import pick_device
from mindeye_cli.models.sae import SaeConfig, SparseAutoencoder

Floats = NDArray[np.float32]
LOG_EVERY = 50
# Slope of a silent dead atom's code in the loss that revives it.
LEAK = 0.1
# Steps at the end over which the threshold of `batchtopk` is averaged.
THRESHOLD_STEPS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """Schedule of the training.

    Attributes
    ----------
    steps, batch : int
        Adam steps, and rows of each.
    lr : float
        Peak learning rate.
    warmup, decay : float
        Share of the steps in which the rate rises to its peak, and in which it falls to zero.
    aux : float
        Weight of the dead atoms' loss; 0 leaves dead atoms alone.
    aux_k : int
        Dead atoms that explain the residual of a row.
    dead_after : int
        Steps without use after which an atom counts as dead.
    """

    steps: int = 3000
    batch: int = 512
    lr: float = 2e-3
    warmup: float = 0.05
    decay: float = 0.3
    aux: float = 1 / 32
    aux_k: int = 32
    dead_after: int = 100

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.aux_k, self.dead_after) < 1:
            raise ValueError("steps, batch, aux_k and dead_after must be at least 1")
        if self.lr <= 0.0 or self.aux < 0.0:
            raise ValueError("lr must be positive and aux not negative")
        if min(self.warmup, self.decay) < 0.0 or self.warmup + self.decay > 1.0:
            raise ValueError("warmup and decay are shares of the steps, together at most 1")

    def rate(self, step: int) -> float:
        """Share of the peak learning rate at a step counted from 0."""
        done = (step + 1) / self.steps
        rise = done / self.warmup if self.warmup else 1.0
        fall = (1.0 - step / self.steps) / self.decay if self.decay else 1.0
        return min(1.0, rise, fall)


Watch = Callable[[dict[str, Any]], None]


def fit_sae(
    rows: Floats, config: SaeConfig, fit: FitConfig, seed: int, watch: Watch | None = None
) -> SparseAutoencoder:
    """Train one autoencoder.

    Parameters
    ----------
    rows : float32 array (N, D)
    config : SaeConfig
    fit : FitConfig
    seed : int
        Start and order of the rows follow from it.
    watch : callable, optional
        Is given `step`, `loss` (share of the variance that is not explained), `dead` and `lr` every
        50 steps. It may raise to stop.

    Returns
    -------
    SparseAutoencoder
        On the CPU, without gradients.
    """
    device = pick_device()
    model = SparseAutoencoder(config, rows.shape[1])
    model.begin(torch.from_numpy(rows), torch_generator(seed, "sae atoms"))
    model.to(device)
    units = model.normalise(torch.from_numpy(rows).to(device))
    adam = torch.optim.Adam(model.parameters(), lr=fit.lr, betas=(0.9, 0.999))
    idle = torch.zeros(config.atoms, dtype=torch.int64, device=device)
    thresholds: list[Tensor] = []
    for step in range(fit.steps):
        for group in adam.param_groups:
            group["lr"] = fit.lr * fit.rate(step)
        batch = units[torch.from_numpy(_places(len(rows), fit.batch, seed, step)).to(device)]
        drive = model.drive(batch)
        codes = model.select(drive, training=True)
        loss, residual = _loss(model, batch, codes)
        dead = idle >= fit.dead_after
        total = loss + fit.aux * _revive(model, drive, dead, residual, fit.aux_k)
        adam.zero_grad(set_to_none=True)
        total.backward()
        _keep_length(model)
        adam.step()
        model.unit_atoms()
        used = (codes.detach() > 0).any(dim=0)
        idle = torch.where(used, 0, idle + 1)
        if step >= fit.steps - THRESHOLD_STEPS:
            thresholds.append(codes.detach()[codes.detach() > 0].min())
        if watch is not None and (step % LOG_EVERY == 0 or step == fit.steps - 1):
            watch(_state(step, float(loss.detach()), dead, fit))
    if config.form == "batchtopk":
        model.threshold.copy_(torch.stack(thresholds).mean())
    return model.cpu().eval().requires_grad_(False)


def _state(step: int, loss: float, dead: Tensor, fit: FitConfig) -> dict[str, Any]:
    share = float(dead.float().mean())
    return {"step": step + 1, "loss": loss, "dead": share, "lr": fit.lr * fit.rate(step)}


def _places(n: int, batch: int, seed: int, step: int) -> NDArray[np.int64]:
    """Which rows a step sees: every row once an epoch, in an order of the seed and the epoch."""
    size = min(batch, n)
    each = n // size
    epoch, within = divmod(step, each)
    return epoch_order(n, seed, epoch)[within * size : (within + 1) * size]


def _loss(model: SparseAutoencoder, batch: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Mean squared error over the variance, prefixes counted alike; and the residual (B, D)."""
    residual = batch - (codes @ model.dictionary + model.bias)
    losses = [residual.square().sum(dim=1).mean()]
    for first in model.config.prefixes:
        part = codes[:, :first] @ model.dictionary[:first] + model.bias
        losses.append((batch - part).square().sum(dim=1).mean())
    return torch.stack(losses).mean(), residual.detach()


def _revive(
    model: SparseAutoencoder, drive: Tensor, dead: Tensor, residual: Tensor, k: int
) -> Tensor:
    """Share of the residual that the most willing dead atoms leave; 0 without dead atoms."""
    count = int(dead.sum())
    if count == 0:
        return drive.new_zeros(())
    # Leaky: an atom that is silent on every row would have no gradient otherwise.
    willing = functional.leaky_relu(drive[:, dead], LEAK)
    values, places = willing.topk(min(k, count), dim=1)
    codes = torch.zeros_like(drive[:, dead]).scatter_(1, places, values)
    error = (residual - codes @ model.dictionary[dead]).square().sum()
    return torch.nan_to_num(error / residual.square().sum().clamp_min(1e-12))


def _keep_length(model: SparseAutoencoder) -> None:
    """Take the part of the dictionary's gradient along each atom away: lengths are fixed."""
    gradient = model.dictionary.grad
    assert gradient is not None
    along = (gradient * model.dictionary.detach()).sum(dim=1, keepdim=True)
    gradient -= along * model.dictionary.detach()
