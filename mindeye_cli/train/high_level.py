"""The high-level model's task: BiMixCo then SoftCLIP on the projector, and the diffusion prior.

Shapes: `B` batch, `V` voxels, `T` tokens, `D` width (Scotti et al. 2023, sections 3.2 and 3.3).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mindeye_cli.core.retrieval_scores import cosine, expected_top, places
from mindeye_cli.core.sampler import rng, torch_generator
from mindeye_cli.models.high_level import HighLevelConfig, HighLevelModel
from mindeye_cli.models.losses import (
    Mix,
    bimixco,
    draw_mix,
    mix_voxels,
    softclip,
    softclip_temperature,
    unit_rows,
)
from mindeye_cli.train.config import DataConfig, LoopConfig, OptimConfig
from mindeye_cli.train.data import ResponseSet
from mindeye_cli.train.draws import draw_responses
from mindeye_cli.train.loop import Moment

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class HighLossConfig:
    """Weights and temperatures; the defaults are the paper's.

    Attributes
    ----------
    contrastive, prior : float
        Weights of the two losses. 0 leaves the loss and its network out: retrieval only, or
        reconstruction only.
    mixco_share : float
        Share of the epochs that mix voxels; SoftCLIP takes the rest.
    mixco_beta, mixco_fraction : float
        Beta distribution of the mixing weights, and the chance that a sample is mixed.
    mixco_temperature, softclip_start, softclip_end : float
        SoftCLIP's temperature rises from start to end along half a cosine.
    regression : float
        Weight of the squared error between the backbone's tokens and the target in the prior's
        scaled space. The published model has none (0): its backbone learns from the prior alone,
        which takes tens of thousands of steps. A short schedule starts the prior near its target.
    published_mixco : bool
        Keep the released code's lost weight where a sample is mixed with itself.
    """

    contrastive: float = 1.0
    prior: float = 30.0
    regression: float = 0.0
    mixco_share: float = 0.33
    mixco_beta: float = 0.15
    mixco_fraction: float = 0.5
    mixco_temperature: float = 0.006
    softclip_start: float = 0.004
    softclip_end: float = 0.0075
    published_mixco: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HighLevelTraining:
    """The whole configuration of `mindeye train high-level`."""

    model: HighLevelConfig
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    losses: HighLossConfig = field(default_factory=HighLossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)


class HighLevelTask:
    """Backbone, projector and prior with their losses (see `train.loop.Task`).

    Parameters
    ----------
    config : HighLevelTraining
    training, validation : ResponseSet
        Targets of shape (N, T, D).
    ids : list of str
        Of the training images.
    """

    def __init__(
        self,
        config: HighLevelTraining,
        model: HighLevelModel,
        training: ResponseSet,
        validation: ResponseSet,
        ids: list[str],
    ) -> None:
        self.config, self.model = config, model
        self.training, self.validation, self.ids = training, validation, ids
        self.score = "top1" if config.losses.contrastive > 0.0 else "prior_fit"

    def __len__(self) -> int:
        return len(self.training)

    def names(self, items: Rows) -> list[str]:
        """Image ids of a batch."""
        return [self.ids[item] for item in items]

    def loss(self, items: Rows, moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted sum of the contrastive and the prior's loss."""
        losses, seed = self.config.losses, self.config.seed
        target = self.training.targets[torch.from_numpy(items)]
        voxels = draw_responses(
            self.training, self.config.data, items, seed, moment.epoch, moment.step
        )
        mixing_epochs = int(losses.mixco_share * moment.epochs)
        mix = None
        if losses.contrastive > 0.0 and moment.epoch < mixing_epochs:
            mix = draw_mix(
                len(items),
                rng(seed, "mixco", moment.step),
                beta=losses.mixco_beta,
                fraction=losses.mixco_fraction,
            )
            voxels = mix_voxels(voxels, mix)
        sources = None
        if losses.prior > 0.0:
            rows = self.training.image_rows[items]
            sources = [torch_generator(seed, "prior", moment.step, int(row)) for row in rows]
        output = self.model([voxels], target if sources else None, sources)
        total, parts = voxels.new_zeros(()), {}
        if losses.contrastive > 0.0:
            predicted, wanted = unit_rows(output.retrieval), unit_rows(target)
            if mix is not None:
                contrastive = bimixco(
                    predicted,
                    wanted,
                    mix,
                    losses.mixco_temperature,
                    published=losses.published_mixco,
                )
            else:
                temperature = softclip_temperature(
                    moment.epoch - mixing_epochs,
                    moment.epochs - mixing_epochs,
                    losses.softclip_start,
                    losses.softclip_end,
                )
                contrastive = softclip(predicted, wanted, temperature)
            parts["contrastive"] = contrastive
            total = total + losses.contrastive * contrastive
        if output.prior_loss is not None:
            parts["prior"] = output.prior_loss
            total = total + losses.prior * output.prior_loss
        if losses.regression > 0.0:
            parts["regression"] = self._regression(output.backbone, target, mix)
            total = total + losses.regression * parts["regression"]
        return total, parts

    def _regression(self, backbone: Tensor, target: Tensor, mix: Mix | None) -> Tensor:
        """Squared error of the backbone's tokens; mixed voxels are asked for the mixed target."""
        if mix is not None:
            target = mix_voxels(target.flatten(1), mix).view_as(target)
        scale = self.model.prior.scale if self.model.prior is not None else 1.0
        return functional.mse_loss(backbone.view_as(target), scale * target)

    def validate(self, moment: Moment) -> dict[str, float]:
        """Retrieval among the validation images by mean responses, and the prior's loss."""
        if not len(self.validation):
            return {}
        tokens = self.model.backbone([self.validation.means()])
        metrics: dict[str, float] = {}
        if self.config.losses.contrastive > 0.0:
            similarity = cosine(
                self.model.projector(tokens).numpy(), self.validation.targets.numpy()
            )
            own = np.arange(len(similarity))
            metrics["image_top1"] = float(expected_top(*places(similarity, own), 1).mean())
            metrics["brain_top1"] = float(expected_top(*places(similarity.T, own), 1).mean())
            metrics["top1"] = (metrics["image_top1"] + metrics["brain_top1"]) / 2
        if self.model.prior is not None:
            # The same draws at every validation, or their noise would hide the progress.
            sources = [
                torch_generator(self.config.seed, "validation", int(row))
                for row in self.validation.image_rows
            ]
            value = float(self.model.prior.loss(self.validation.targets, tokens, sources))
            metrics |= {"prior": value, "prior_fit": -value}
        return metrics
