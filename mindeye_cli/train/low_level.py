"""The low-level model's task: absolute error of the latents, and a contrastive loss on its maps.

Shapes: `B` batch, `C` latent channels, `H W` latent side, `P` positions, `M` width of the maps
(Scotti et al. 2023, section 3.4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mindeye_cli.models.losses import latent_loss, soft_contrastive, softclip, token_rows
from mindeye_cli.models.lowlevel import LowLevelConfig, LowLevelModel
from mindeye_cli.train.batch import Batch, Moment, Share
from mindeye_cli.train.config import DataConfig, InitConfig, LoopConfig, OptimConfig
from mindeye_cli.train.gather import gather_rows
from mindeye_cli.train.study import StudySet
from mindeye_store import InvalidInput, view_space

Rows = NDArray[np.int64]
CPU = torch.device("cpu")


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
    form : {"three-set", "softclip"}
        Whether the maps are compared with the teacher's features of augmented images, as the
        published code does, or with its features of the images themselves alone. With one and the
        same set in both places of the first form, it is the second.
    teacher : str
        SPACE of the teacher's feature map, cached in the same store: one token a position, in
        reading order, after a first token for the whole image where it has one more.
    augmented : str
        SPACE of the same teacher's features of augmented images, for the form of three sets;
        `none` is the teacher's first augmented view.
    temperature : float
    """

    error: Literal["mae", "mse"] = "mae"
    scaling_factor: float = 0.18215
    contrastive: float = 0.1
    form: Literal["three-set", "softclip"] = "three-set"
    teacher: str = "vicregl-convnext-xl:maps"
    augmented: str | None = None
    temperature: float = 0.075

    def __post_init__(self) -> None:
        if self.scaling_factor <= 0.0:
            raise ValueError("losses.scaling_factor must be positive")
        if self.augmented is not None and self.form == "softclip":
            raise ValueError("losses.augmented is read by losses.form=three-set alone")


@dataclass(frozen=True, slots=True, kw_only=True)
class LowLevelTraining:
    """The whole configuration of `mindeye train low-level`."""

    model: LowLevelConfig
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    losses: LowLossConfig = field(default_factory=LowLossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    init: InitConfig = field(default_factory=InitConfig)


class LowLevelTask:
    """The low-level network with its losses (see `train.task.Task`).

    Parameters
    ----------
    config : LowLevelTraining
    model : LowLevelModel
    training, validation : StudySet
        Targets are latents (C, H, W); the extras of the training items are the teacher's features
        and, for the form of three sets, those of augmented images.
    ids : list of str
        Of the training items.
    device : torch.device
        Where the model computes.
    """

    score = "fit"

    def __init__(
        self,
        config: LowLevelTraining,
        model: LowLevelModel,
        training: StudySet,
        validation: StudySet,
        ids: list[str],
        device: torch.device = CPU,
    ) -> None:
        self.config, self.model, self.device, self.ids = config, model, device, ids
        self.training, self.validation = training, validation

    def names(self, items: Rows) -> list[str]:
        """Image ids of a batch."""
        return [self.ids[item] for item in items]

    def draw(self, items: Rows, moment: Moment, share: Share) -> Batch:
        """Responses, latents and teacher's features of one batch."""
        voxels, _ = self.training.draw(items, self.config.data, moment, share, None)
        return Batch(
            voxels=voxels,
            target=self.training.targets(items),
            share=share,
            extras=self.training.extras(items),
        ).to(self.device)

    def loss(
        self, model: nn.Module, batch: Batch, moment: Moment
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Error of the latents plus the weighted contrastive loss."""
        losses, own = self.config.losses, batch.target[batch.share.rows]
        if losses.contrastive == 0.0:
            error = latent_loss(model(batch.voxels), own, losses.scaling_factor, losses.error)
            return batch.share.weight * error, {"latent": batch.share.weight * error}
        latents, maps = model(batch.voxels, with_maps=True)
        error = latent_loss(latents, own, losses.scaling_factor, losses.error)
        error = batch.share.weight * error
        positions = maps.shape[1]
        student = gather_rows(token_rows(maps), [size * positions for size in batch.share.sizes])
        sets = [token_rows(features[:, -positions:]) for features in batch.extras]
        if losses.form == "softclip":
            contrastive = softclip(student, sets[0], losses.temperature)
        else:
            contrastive = soft_contrastive(student, sets[0], sets[1], losses.temperature)
        return error + losses.contrastive * contrastive, {
            "latent": error,
            "contrastive": contrastive,
        }

    def validate(self, moment: Moment) -> dict[str, float]:
        """Errors and mean correlation of the latents of validation images, by mean responses."""
        if not len(self.validation):
            return {}
        target = self.validation.targets(np.arange(len(self.validation))).to(self.device)
        predicted = self.model([part.to(self.device) for part in self.validation.means()])
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


def teacher_spaces(losses: LowLossConfig) -> tuple[str, ...]:
    """Spaces of the teacher that the configuration needs: plain, then augmented for three sets."""
    if losses.contrastive == 0.0:
        return ()
    if losses.form == "softclip":
        return (losses.teacher,)
    return (losses.teacher, losses.augmented or view_space(losses.teacher, 1))


def refuse_other_maps(shape: tuple[int, ...], positions: int, width: int, space: str) -> None:
    """Refuse teacher features that have no token for each position of the model's maps.

    A first token for the whole image is allowed, and dropped.

    Parameters
    ----------
    shape : tuple of int
        Of one image's features.
    positions, width : int
        P and M of the model's maps.
    space : str
        For the message.

    Raises
    ------
    InvalidInput
        Their numbers do not agree.
    """
    if shape not in ((positions, width), (positions + 1, width)):
        raise InvalidInput(
            f"teacher features of shape {shape} do not fit maps of {positions} x {width}",
            where=f"targets/{space}",
            fix=f"{_as_maps(shape)}, or losses.contrastive=0",
        )


def _as_maps(shape: tuple[int, ...]) -> str:
    """The settings that fit a teacher, where its tokens are a square map, with or without one."""
    sides = [math.isqrt(n) for n in (shape[0], shape[0] - 1) if math.isqrt(n) ** 2 == n > 0]
    if len(shape) != 2 or not sides:
        return "choose a teacher with a square map of tokens"
    return f"set model.map_size={sides[0]} and model.maps_width={shape[1]}"
