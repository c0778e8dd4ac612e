"""Latent losses against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mindeye_cli.models.losses import latent_loss


def test_errors_are_in_the_autoencoders_own_units():
    rng = np.random.default_rng(0)
    p, t = rng.standard_normal((2, 3, 4, 5, 5))
    error = (p - t) / 0.18215
    pair = torch.from_numpy(p), torch.from_numpy(t)
    assert float(latent_loss(*pair, 0.18215)) == pytest.approx(np.abs(error).mean())
    assert float(latent_loss(*pair, 0.18215, "mse")) == pytest.approx((error**2).mean())


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="'huber' is not one of mae, mse"):
        latent_loss(torch.zeros(1), torch.zeros(1), 1.0, "huber")
