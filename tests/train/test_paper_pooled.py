"""The preset of the pooled embedding: its prior, its weight, its scale, its initial weights."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mindeye_cli.models.prior import DiffusionPrior
from mindeye_cli.train.request import TrainRequest
from mindeye_cli.train.resolve import high_level_config
from mindeye_store.errors import UsageProblem


def resolved(*overrides, norm="raw", preset="paper-pooled"):
    request = TrainRequest(
        store=Path("s"),
        run=Path("r"),
        subjects=("s1",),
        space="clip-vit-l14:pooled",
        preset=preset,
        overrides=overrides,
    )
    facts = SimpleNamespace(target_shape=(768,), target_norm=norm, n_voxels=(50,))
    return high_level_config(request, facts, rms=10 / 768**0.5)


def test_the_published_values():
    config = resolved()
    assert config.losses.prior == 0.03
    assert (config.optim.epochs, config.optim.batch, config.optim.lr) == (240, 32, 3e-4)
    assert config.optim.warmup == pytest.approx(2 / 240)
    assert config.losses.mixco_share == 0.33
    assert config.model.prior.timesteps == 1000 and config.model.prior.causal
    with torch.device("meta"):
        prior = DiffusionPrior(config.model.tokens, config.model.width, config.model.prior)
    # sqrt(768) whatever the target's norm: the published code never looks at it.
    assert prior.scale == pytest.approx(768**0.5)
    # Another preset's scale follows the raw target.
    assert resolved(preset="paper").model.prior.scale == pytest.approx(768**0.5 / 10, rel=1e-4)


def test_initial_weights_are_named_either_way():
    assert resolved("prior.init=best.pth").model.prior.init == "best.pth"
    assert resolved("model.prior.init=best.pth").model.prior.init == "best.pth"
    assert resolved().model.prior.init == ""
    with pytest.raises(UsageProblem, match="prior.inti"):
        resolved("prior.inti=best.pth")
