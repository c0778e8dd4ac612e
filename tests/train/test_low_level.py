"""The low-level task's loss is what its configuration says, against numpy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from mindeye_cli.models.lowlevel import LowLevelConfig, LowLevelModel
from mindeye_cli.train.batch import Moment, share_of
from mindeye_cli.train.config import DataConfig
from mindeye_cli.train.facts import DataFacts
from mindeye_cli.train.low_level import (
    LowLevelTask,
    LowLevelTraining,
    LowLossConfig,
    teacher_spaces,
)
from mindeye_cli.train.request import TrainRequest
from mindeye_cli.train.resolve import low_level_config
from mindeye_cli.train.responses import KeptTargets, ResponseSet
from mindeye_cli.train.study import StudySet
from mindeye_store import UsageProblem

N, V, SIDE, WIDTH = 5, 6, 2, 4
POSITIONS = SIDE**2


def rows(features: np.ndarray) -> np.ndarray:
    flat = features.reshape(-1, features.shape[-1]).astype(np.float64)
    return flat / np.linalg.norm(flat, axis=1, keepdims=True)


def cross_entropy(labels: np.ndarray, logits: np.ndarray) -> float:
    return float(-(softmax(labels, axis=1) * log_softmax(logits, axis=1)).sum(1).mean())


class Study:
    """A task of five images, with the arrays that it was made of."""

    def __init__(self, losses: LowLossConfig, own_token: bool = False) -> None:
        draw = np.random.default_rng(0)
        config = LowLevelConfig(
            n_voxels=(V,),
            latent_channels=2,
            latent_size=8,
            map_size=SIDE,
            map_channels=4,
            maps_width=WIDTH,
            hidden=8,
            blocks=1,
            upsampler_channels=(4, 4, 4),
            norm_groups=2,
        )
        tokens = POSITIONS + own_token
        self.latents = draw.standard_normal((N, 2, 8, 8)).astype(np.float32)
        self.sets = [draw.standard_normal((N, tokens, WIDTH)).astype(np.float32) for _ in range(2)]
        self.voxels = torch.from_numpy(draw.standard_normal((N, V)).astype(np.float32))
        used = self.sets[: len(teacher_spaces(losses))]
        responses = ResponseSet(
            voxels=self.voxels,
            repeats=torch.arange(N)[:, None],
            counts=np.ones(N, dtype=np.int64),
            targets=KeptTargets((torch.from_numpy(self.latents),)),
            image_rows=np.arange(N),
            extras=tuple(KeptTargets((torch.from_numpy(features),)) for features in used),
        )
        torch.manual_seed(0)
        self.model = LowLevelModel(config).eval()
        study = StudySet([responses], seed=0)
        self.task = LowLevelTask(
            LowLevelTraining(model=config, data=DataConfig(repeats="mean"), losses=losses),
            self.model,
            study,
            study,
            [str(k) for k in range(N)],
        )

    def loss(self, items: list[int]) -> tuple[float, dict[str, torch.Tensor]]:
        batch = self.task.draw(np.array(items), MOMENT, share_of(len(items), 0, 1))
        total, parts = self.task.loss(self.model, batch, MOMENT)
        return total.item(), parts


MOMENT = Moment(step=0, epoch=0, epochs=1)


@pytest.mark.parametrize(
    ("kind", "distance"), [("mae", np.abs), ("mse", np.square)], ids=["mae", "mse"]
)
def test_error_of_the_latents(kind: str, distance: np.ufunc) -> None:
    study = Study(LowLossConfig(error=kind, contrastive=0.0, scaling_factor=0.5))
    total, parts = study.loss([3, 1])
    with torch.no_grad():
        predicted = study.model([study.voxels]).numpy()
        measured = study.task.validate(MOMENT)
    apart = distance((predicted - study.latents) / 0.5)
    np.testing.assert_allclose(total, apart[[3, 1]].mean(), rtol=1e-5)
    np.testing.assert_allclose(measured[kind], apart.mean(), rtol=1e-5)
    assert set(parts) == {"latent"}
    # The model is selected by the error that it is trained on.
    assert measured["fit"] == -measured[kind]


@pytest.mark.parametrize("own_token", [False, True], ids=["maps", "maps after a global token"])
@pytest.mark.parametrize("form", ["three-set", "softclip"])
def test_contrastive_part(form: str, own_token: bool) -> None:
    losses = LowLossConfig(contrastive=0.3, form=form, temperature=0.2, teacher="array:t")
    study = Study(losses, own_token)
    items = [4, 0, 2]
    total, parts = study.loss(items)
    with torch.no_grad():
        latents, maps = study.model([study.voxels], with_maps=True)
    student = rows(maps.numpy()[items])
    teacher, other = (rows(features[items][:, own_token:]) for features in study.sets)
    other = teacher if form == "softclip" else other
    forward = cross_entropy(teacher @ other.T / 0.2, student @ other.T / 0.2)
    backward = cross_entropy(other @ teacher.T / 0.2, other @ student.T / 0.2)
    np.testing.assert_allclose(parts["contrastive"].item(), (forward + backward) / 2, rtol=1e-5)
    error = np.abs(latents.numpy() - study.latents)[items].mean() / 0.18215
    np.testing.assert_allclose(total, error + 0.3 * (forward + backward) / 2, rtol=1e-5)


@pytest.mark.parametrize("preset", ["paper", "lean", "scene"])
@pytest.mark.parametrize(("side", "map_size"), [(64, 16), (28, 7), (16, 4)])
def test_map_follows_the_latents_of_the_store(preset: str, side: int, map_size: int) -> None:
    facts = DataFacts(n_voxels=(V,), target_shape=(4, side, side), target_norm="raw")
    request = TrainRequest(
        store=Path("s"), run=Path("r"), subjects=("a",), space="array:latents", preset=preset
    )
    config = low_level_config(request, facts)
    assert (config.model.latent_size, config.model.map_size) == (side, map_size)
    assert len(config.model.upsampler_channels) == 3
    wide = low_level_config(replace(request, overrides=(f"model.map_size={side // 2}",)), facts)
    assert len(wide.model.upsampler_channels) == 2
    odd = DataFacts(n_voxels=(V,), target_shape=(4, 30, 30), target_norm="raw")
    with pytest.raises(UsageProblem, match="does not divide by 4"):
        low_level_config(request, odd)


def test_spaces_that_the_forms_read() -> None:
    plain = "vicregl-convnext-xl:maps"
    assert teacher_spaces(LowLossConfig()) == (plain, f"{plain}@view1")
    assert teacher_spaces(LowLossConfig(augmented="array:a")) == (plain, "array:a")
    assert teacher_spaces(LowLossConfig(form="softclip", teacher="array:t")) == ("array:t",)
    assert teacher_spaces(LowLossConfig(contrastive=0.0)) == ()
