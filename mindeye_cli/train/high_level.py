"""The high-level model's task: BiMixCo then SoftCLIP on the projector, and the diffusion prior.

Shapes: `B` batch, `V` voxels, `T` tokens, `D` width (Scotti et al. 2023, sections 3.2 and 3.3).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mindeye_cli.core.retrieval_scores import cosine, expected_top, places
from mindeye_cli.core.sampler import torch_generator
from mindeye_cli.models.high_level import HighLevelConfig, HighLevelModel
from mindeye_cli.models.losses import (
    bimixco,
    mix_voxels,
    softclip,
    softclip_temperature,
    unit_rows,
)
from mindeye_cli.train.batch import Batch, Mixing, Moment, Share
from mindeye_cli.train.config import DataConfig, InitConfig, LoopConfig, OptimConfig
from mindeye_cli.train.draws import draw_views
from mindeye_cli.train.gather import gather_rows
from mindeye_cli.train.study import StudySet

Rows = NDArray[np.int64]
CPU = torch.device("cpu")
VALIDATION_BATCH = 64  # images in the projector or the prior at once


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
    init: InitConfig = field(default_factory=InitConfig)


class HighLevelTask:
    """Backbone, projector and prior with their losses (see `train.task.Task`).

    Parameters
    ----------
    config : HighLevelTraining
    model : HighLevelModel
    training, validation : StudySet
        Targets of (T, D), or (D,) for a single token.
    ids : list of str
        Of the training items.
    device : torch.device
        Where the model computes.
    """

    def __init__(
        self,
        config: HighLevelTraining,
        model: HighLevelModel,
        training: StudySet,
        validation: StudySet,
        ids: list[str],
        device: torch.device = CPU,
    ) -> None:
        self.config, self.model, self.device = config, model, device
        self.training, self.validation, self.ids = training, validation, ids
        self.score = "top1" if config.losses.contrastive > 0.0 else "prior_fit"

    def names(self, items: Rows) -> list[str]:
        """Image ids of a batch."""
        return [self.ids[item] for item in items]

    def mixing_epochs(self, epochs: int) -> int:
        """Epochs of the first phase, which mixes voxels; SoftCLIP takes the rest."""
        return int(self.config.losses.mixco_share * epochs)

    def temperature(self, moment: Moment) -> float:
        """SoftCLIP's temperature in the second phase."""
        losses, before = self.config.losses, self.mixing_epochs(moment.epochs)
        return softclip_temperature(
            moment.epoch - before,
            moment.epochs - before,
            losses.softclip_start,
            losses.softclip_end,
        )

    def draw(self, items: Rows, moment: Moment, share: Share) -> Batch:
        """Responses and targets of one batch, mixed in the first phase."""
        config, losses = self.config, self.config.losses
        mixing = None
        if losses.contrastive > 0.0 and moment.epoch < self.mixing_epochs(moment.epochs):
            mixing = Mixing(losses.mixco_beta, losses.mixco_fraction)
        voxels, mix = self.training.draw(items, config.data, moment, share, mixing)
        sources = None
        if losses.prior > 0.0:
            sources = [
                torch_generator(
                    config.seed, "prior", moment.step, int(row), device=str(self.device)
                )
                for row in self.training.image_rows[items][share.rows]
            ]
        views = draw_views(config.data.views, len(self.training), config.seed, moment.epoch)
        target = self.training.targets(items, None if views is None else views[items])
        return Batch(
            voxels=voxels, target=self._tokens(target), share=share, mix=mix, sources=sources
        ).to(self.device)

    def loss(
        self, model: nn.Module, batch: Batch, moment: Moment
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted sum of the contrastive and the prior's loss."""
        losses = self.config.losses
        own = batch.target[batch.share.rows]
        output = model(batch.voxels, own if batch.sources else None, batch.sources)
        total, parts = own.new_zeros(()), {}
        if losses.contrastive > 0.0:
            parts["contrastive"] = self._contrastive(output.retrieval, batch, moment)
            total = total + losses.contrastive * parts["contrastive"]
        # Means over this process's rows count by their number in the average over processes.
        if output.prior_loss is not None:
            parts["prior"] = batch.share.weight * output.prior_loss
            total = total + losses.prior * parts["prior"]
        if losses.regression > 0.0:
            error = self._regression(output.backbone, batch)
            parts["regression"] = batch.share.weight * error
            total = total + losses.regression * parts["regression"]
        return total, parts

    def _contrastive(self, retrieval: Tensor, batch: Batch, moment: Moment) -> Tensor:
        """BiMixCo in the first phase, SoftCLIP in the second; over all processes' rows."""
        losses = self.config.losses
        predicted = gather_rows(unit_rows(retrieval), batch.share.sizes)
        wanted = unit_rows(batch.target)
        if batch.mix is not None:
            return bimixco(
                predicted,
                wanted,
                batch.mix,
                losses.mixco_temperature,
                published=losses.published_mixco,
            )
        return softclip(predicted, wanted, self.temperature(moment))

    def _regression(self, backbone: Tensor, batch: Batch) -> Tensor:
        """Squared error of the backbone's tokens; mixed voxels are asked for the mixed target."""
        target = batch.target
        if batch.mix is not None:
            target = mix_voxels(target.flatten(1), batch.mix).view_as(target)
        scale = self.model.prior.scale if self.model.prior is not None else 1.0
        return functional.mse_loss(backbone.float(), scale * target[batch.share.rows])

    def _tokens(self, targets: Tensor) -> Tensor:
        """Targets as (B, T, D)."""
        return targets.reshape(-1, self.config.model.tokens, self.config.model.width)

    def validate(self, moment: Moment) -> dict[str, float]:
        """Retrieval among the validation images by mean responses, and the prior's loss."""
        items = np.arange(len(self.validation))
        if not len(items):
            return {}
        means = [part.to(self.device) for part in self.validation.means()]
        tokens = self.model.backbone(means)
        targets = self._tokens(self.validation.targets(items))
        metrics: dict[str, float] = {}
        if self.config.losses.contrastive > 0.0:
            # In parts: the projector's activations are several times as large as its output.
            parts = [
                self.model.projector(part).float().cpu() for part in tokens.split(VALIDATION_BATCH)
            ]
            retrieved = torch.cat(parts)
            similarity = cosine(retrieved.numpy(), targets.cpu().numpy())
            metrics["image_top1"] = float(expected_top(*places(similarity, items), 1).mean())
            metrics["brain_top1"] = float(expected_top(*places(similarity.T, items), 1).mean())
            metrics["top1"] = (metrics["image_top1"] + metrics["brain_top1"]) / 2
        if self.model.prior is not None:
            total = 0.0
            for start in range(0, len(items), VALIDATION_BATCH):
                rows = slice(start, start + VALIDATION_BATCH)
                # The same draws at every validation, or their noise would hide the progress.
                sources = [
                    torch_generator(
                        self.config.seed, "validation", int(row), device=str(self.device)
                    )
                    for row in self.validation.image_rows[rows]
                ]
                loss = self.model.prior.loss(targets[rows].to(self.device), tokens[rows], sources)
                total += float(loss) * len(sources)
            metrics |= {"prior": total / len(items), "prior_fit": -total / len(items)}
        return metrics
