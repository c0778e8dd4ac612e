"""The low-level model's task: absolute error of the latents, and a contrastive loss on its maps.

Shapes: `B` batch, `C` latent channels, `H W` latent side, `P` positions, `M` width of the maps
(Scotti et al. 2023, section 3.4).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindeye_cli.models.losses import latent_loss, soft_contrastive, token_rows
from mindeye_cli.models.lowlevel import LowLevelConfig, LowLevelModel
from mindeye_cli.train.config import DataConfig, LoopConfig, OptimConfig
from mindeye_cli.train.data import ResponseSet
from mindeye_cli.train.draws import draw_responses
from mindeye_cli.train.loop import Moment
from mindeye_store import InvalidInput

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LowLossConfig:
    """Weights and units; the defaults are the paper's.

    Attributes
    ----------
    error : {"mae", "mse"}
        Absolute or squared error of the latents. The absolute error seeks the median of what the
        response leaves open, which is often the bare background; the squared one its mean.
    scaling_factor : float
        Of the autoencoder: errors are counted in its own, unscaled latents.
    contrastive : float
        Weight of the loss against the teacher; 0 needs no teacher.
    teacher : str
        SPACE of the teacher's feature map, cached in the same store: one token a position, in
        reading order, after a first token for the whole image where it has one more.
    augmented : str
        SPACE of the same teacher's features of augmented images; `none` takes the plain ones.
    temperature : float
    """

    error: Literal["mae", "mse"] = "mae"
    scaling_factor: float = 0.18215
    contrastive: float = 0.1
    teacher: str = "vicregl-convnext-xl:maps"
    augmented: str | None = None
    temperature: float = 0.075

    def __post_init__(self) -> None:
        if self.scaling_factor <= 0.0:
            raise ValueError("losses.scaling_factor must be positive")


@dataclass(frozen=True, slots=True, kw_only=True)
class LowLevelTraining:
    """The whole configuration of `mindeye train low-level`."""

    model: LowLevelConfig
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    losses: LowLossConfig = field(default_factory=LowLossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)


class LowLevelTask:
    """The low-level network with its losses (see `train.loop.Task`).

    Parameters
    ----------
    config : LowLevelTraining
    model : LowLevelModel
    training, validation : ResponseSet
        Targets are latents, (N, C, H, W).
    ids : list of str
        Of the training images.
    teacher, augmented : float32 tensor (N, P, M), optional
        Of the training images; needed where the contrastive loss has a weight.
    """

    score = "fit"

    def __init__(
        self,
        config: LowLevelTraining,
        model: LowLevelModel,
        training: ResponseSet,
        validation: ResponseSet,
        ids: list[str],
        teacher: Tensor | None = None,
        augmented: Tensor | None = None,
    ) -> None:
        self.config, self.model, self.ids = config, model, ids
        self.training, self.validation = training, validation
        self.teacher = teacher
        self.augmented = teacher if augmented is None else augmented

    def __len__(self) -> int:
        return len(self.training)

    def names(self, items: Rows) -> list[str]:
        """Image ids of a batch."""
        return [self.ids[item] for item in items]

    def loss(self, items: Rows, moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        """Error of the latents plus the weighted contrastive loss."""
        losses = self.config.losses
        rows = torch.from_numpy(items)
        target = self.training.targets[rows]
        voxels = draw_responses(
            self.training, self.config.data, items, self.config.seed, moment.epoch, moment.step
        )
        if self.teacher is None or self.augmented is None:
            error = latent_loss(self.model([voxels]), target, losses.scaling_factor, losses.error)
            return error, {"latent": error}
        latents, maps = self.model([voxels], with_maps=True)
        error = latent_loss(latents, target, losses.scaling_factor, losses.error)
        contrastive = soft_contrastive(
            token_rows(maps),
            token_rows(self.teacher[rows]),
            token_rows(self.augmented[rows]),
            losses.temperature,
        )
        return error + losses.contrastive * contrastive, {
            "latent": error,
            "contrastive": contrastive,
        }

    def validate(self, moment: Moment) -> dict[str, float]:
        """Errors and mean correlation of the latents of validation images, by mean responses."""
        if not len(self.validation):
            return {}
        target = self.validation.targets
        predicted = self.model([self.validation.means()])
        factor = self.config.losses.scaling_factor
        errors = {
            kind: float(latent_loss(predicted, target, factor, kind)) for kind in ("mae", "mse")
        }
        pairs = torch.stack([predicted.flatten(1), target.flatten(1)])
        pairs = pairs - pairs.mean(dim=2, keepdim=True)
        correlation = torch.cosine_similarity(pairs[0], pairs[1]).mean()
        return {
            **errors,
            "correlation": float(correlation),
            "fit": -errors[self.config.losses.error],
        }


def teacher_positions(features: Tensor, positions: int, width: int, space: str) -> Tensor:
    """One teacher token for each position of the maps.

    Parameters
    ----------
    features : float32 tensor (N, P or P + 1, M)
        A first token for the whole image is dropped.
    positions, width : int
        P and M of the model's maps.
    space : str
        For messages.

    Raises
    ------
    InvalidInput
        Their numbers do not agree.
    """
    shape = tuple(features.shape[1:])
    if shape not in ((positions, width), (positions + 1, width)):
        raise InvalidInput(
            f"teacher features of shape {shape} do not fit maps of {positions} x {width}",
            where=f"targets/{space}",
            fix="set model.map_size and model.maps_width to the teacher's, or losses.contrastive=0",
        )
    return features[:, features.shape[1] - positions :]
