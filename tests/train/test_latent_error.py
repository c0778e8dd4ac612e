"""The low-level task counts the latents' error as its configuration says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mindeye_cli.models.lowlevel import LowLevelConfig, LowLevelModel
from mindeye_cli.train.config import DataConfig
from mindeye_cli.train.low_level import LowLevelTask, LowLevelTraining, LowLossConfig
from mindeye_cli.train.responses import KeptTargets, ResponseSet
from mindeye_cli.train.study import Moment, StudySet, share_of

N, V = 5, 6


@pytest.mark.parametrize(
    ("kind", "distance"), [("mae", np.abs), ("mse", np.square)], ids=["mae", "mse"]
)
def test_error_of_the_latents(kind: str, distance: np.ufunc) -> None:
    draw = np.random.default_rng(0)
    sizes = {"latent_channels": 2, "latent_size": 4, "map_channels": 4, "map_size": 1}
    tower = {"hidden": 8, "blocks": 1, "upsampler_channels": (4, 4, 4), "norm_groups": 2}
    model_config = LowLevelConfig(n_voxels=(V,), maps_width=4, layers_per_block=1, **sizes, **tower)
    values = draw.standard_normal((N, 2, 4, 4)).astype(np.float32)
    responses = ResponseSet(
        voxels=torch.from_numpy(draw.standard_normal((N, V)).astype(np.float32)),
        repeats=torch.arange(N)[:, None],
        counts=np.ones(N, dtype=np.int64),
        targets=KeptTargets((torch.from_numpy(values),)),
        image_rows=np.arange(N),
    )
    config = LowLevelTraining(
        model=model_config,
        data=DataConfig(repeats="mean"),
        losses=LowLossConfig(error=kind, contrastive=0.0, scaling_factor=0.5),
    )
    torch.manual_seed(0)
    model = LowLevelModel(model_config).eval()
    study = StudySet([responses], seed=0)
    task = LowLevelTask(config, model, study, study, [str(k) for k in range(N)])
    moment = Moment(step=0, epoch=0, epochs=1)
    batch = task.draw(np.array([3, 1]), moment, share_of(2, 0, 1))
    total, _ = task.loss(model, batch, moment)
    with torch.no_grad():
        predicted = model([responses.voxels]).numpy()
    apart = distance((predicted - values) / 0.5)
    np.testing.assert_allclose(total.item(), apart[[3, 1]].mean(), rtol=1e-5)
    with torch.no_grad():
        measured = task.validate(moment)
    np.testing.assert_allclose(measured[kind], apart.mean(), rtol=1e-5)
    # The model is selected by the error that it is trained on.
    assert measured["fit"] == -measured[kind]
