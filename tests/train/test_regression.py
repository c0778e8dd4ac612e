"""The backbone's regression term against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mindeye_cli.models.high_level import HighLevelConfig, HighLevelModel
from mindeye_cli.train.batch import Moment, share_of
from mindeye_cli.train.config import DataConfig
from mindeye_cli.train.high_level import HighLevelTask, HighLevelTraining, HighLossConfig
from mindeye_cli.train.responses import KeptTargets, ResponseSet
from mindeye_cli.train.study import StudySet

N, V, T, D = 6, 5, 3, 4


@pytest.mark.parametrize("contrastive", [0.0, 1.0])
def test_squared_error_of_the_backbone(contrastive: float) -> None:
    draw = np.random.default_rng(0)
    values = draw.standard_normal((N, T, D)).astype(np.float32)
    responses = ResponseSet(
        voxels=torch.from_numpy(draw.standard_normal((N, V)).astype(np.float32)),
        repeats=torch.arange(N)[:, None],
        counts=np.ones(N, dtype=np.int64),
        targets=KeptTargets((torch.from_numpy(values),)),
        image_rows=np.arange(N),
    )
    sizes = {"hidden": 8, "blocks": 1, "projector_hidden": 8, "with_prior": False}
    config = HighLevelTraining(
        model=HighLevelConfig(n_voxels=(V,), tokens=T, width=D, **sizes),
        data=DataConfig(repeats="mean"),
        losses=HighLossConfig(
            contrastive=contrastive, prior=0.0, regression=2.0, mixco_fraction=0.0
        ),
    )
    torch.manual_seed(0)
    model = HighLevelModel(config.model).eval()
    study = StudySet([responses], seed=0)
    task = HighLevelTask(config, model, study, study, [str(k) for k in range(N)])
    items = np.array([4, 1, 3])
    moment = Moment(step=0, epoch=0, epochs=10)
    batch = task.draw(items, moment, share_of(3, 0, 1))
    total, parts = task.loss(model, batch, moment)
    with torch.no_grad():
        tokens = model.backbone([responses.voxels[items]]).numpy().reshape(-1, T, D)
    expected = np.mean((tokens - values[items]) ** 2)
    np.testing.assert_allclose(parts["regression"].item(), expected, rtol=1e-5)
    rest = parts["contrastive"].item() if contrastive else 0.0
    np.testing.assert_allclose(total.item(), 2 * expected + rest, rtol=1e-5)
