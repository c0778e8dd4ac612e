"""The diffusion prior: configuration, network, loss and samplers."""

from __future__ import annotations

from mindeye_cli.models.prior.config import PriorConfig, target_scale
from mindeye_cli.models.prior.diffusion import DiffusionPrior
from mindeye_cli.models.prior.draws import Generators

__all__ = ["DiffusionPrior", "Generators", "PriorConfig", "target_scale"]
