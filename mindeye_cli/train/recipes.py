"""What the two step-trained models differ in: configuration, network, task and data.

Shapes: `B` batch, `S` subjects, `V_s` voxels of a subject.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from mindeye_cli.core.runs import Kind
from mindeye_cli.models.high_level import HighLevelModel
from mindeye_cli.models.lowlevel import LowLevelModel
from mindeye_cli.models.prior.initial import load_initial_prior
from mindeye_cli.train.data import TrainingData
from mindeye_cli.train.facts import DataFacts
from mindeye_cli.train.high_level import HighLevelTask, HighLevelTraining
from mindeye_cli.train.low_level import (
    LowLevelTask,
    LowLevelTraining,
    refuse_other_maps,
    teacher_spaces,
)
from mindeye_cli.train.request import TrainRequest
from mindeye_cli.train.resolve import high_level_config, low_level_config
from mindeye_cli.train.targets import open_targets
from mindeye_cli.train.task import Task
from mindeye_store import Store

logger = logging.getLogger("mindeye")
Config = HighLevelTraining | LowLevelTraining


class Recipe(Protocol):
    """How one kind of model is configured, made and trained."""

    @property
    def kind(self) -> Kind:
        """Kind of the run."""

    def resolve(self, request: TrainRequest, facts: DataFacts, rms: float) -> Any:
        """The run's configuration; `rms` is that of the targets, for raw spaces."""

    def extras(self, config: Any, store: Store) -> tuple[str, ...]:
        """Other spaces that the training needs, once their shapes are known to fit."""

    def model(self, config: Any) -> nn.Module:
        """The network with fresh weights."""

    def files(self, config: Any) -> tuple[Path, ...]:
        """Files of published weights that the network starts from."""

    def start(self, config: Any, model: Any) -> None:
        """Put those weights into the network."""

    def task(self, config: Any, model: Any, data: TrainingData, device: torch.device) -> Task:
        """The network with its losses and data."""

    def example(self, config: Any, model: Any, batch: int) -> Any:
        """One training pass on the meta device, to count activations."""


def meta_voxels(n_voxels: tuple[int, ...], batch: int) -> list[torch.Tensor]:
    """Responses of no content: a batch (B_s, V_s) spread over the subjects."""
    sizes = [batch // len(n_voxels) + (s < batch % len(n_voxels)) for s in range(len(n_voxels))]
    return [torch.empty(n, v, device="meta") for n, v in zip(sizes, n_voxels, strict=True)]


@dataclass(frozen=True)
class HighLevelRecipe:
    """Backbone, projector and prior; see `Recipe`."""

    kind: Kind = "high-level"

    def resolve(self, request: TrainRequest, facts: DataFacts, rms: float) -> HighLevelTraining:
        """See `Recipe`."""
        return high_level_config(request, facts, rms)

    def extras(self, config: HighLevelTraining, store: Store) -> tuple[str, ...]:
        """None."""
        return ()

    def model(self, config: HighLevelTraining) -> HighLevelModel:
        """See `Recipe`."""
        return HighLevelModel(config.model)

    def files(self, config: HighLevelTraining) -> tuple[Path, ...]:
        """The stock prior's, where `model.prior.init` names one."""
        return (Path(config.model.prior.init),) if config.model.prior.init else ()

    def start(self, config: HighLevelTraining, model: HighLevelModel) -> None:
        """See `Recipe`."""
        for file in self.files(config):
            if model.prior is not None:
                random = load_initial_prior(model.prior, file)
                logger.info("prior: all weights from %s but %s", file, ", ".join(random) or "none")

    def task(
        self,
        config: HighLevelTraining,
        model: HighLevelModel,
        data: TrainingData,
        device: torch.device,
    ) -> HighLevelTask:
        """See `Recipe`."""
        return HighLevelTask(
            config, model, *data.split(config.data.validation, config.seed), device=device
        )

    def example(self, config: HighLevelTraining, model: HighLevelModel, batch: int) -> Any:
        """See `Recipe`."""
        target = torch.empty(batch, config.model.tokens, config.model.width, device="meta")
        sources = [torch.Generator() for _ in range(batch)]
        return model(meta_voxels(config.model.n_voxels, batch), target, sources)


@dataclass(frozen=True)
class LowLevelRecipe:
    """Latents and the auxiliary maps; see `Recipe`."""

    kind: Kind = "low-level"

    def resolve(self, request: TrainRequest, facts: DataFacts, rms: float) -> LowLevelTraining:
        """See `Recipe`."""
        return low_level_config(request, facts)

    def extras(self, config: LowLevelTraining, store: Store) -> tuple[str, ...]:
        """The teacher's spaces."""
        spaces = teacher_spaces(config.losses)
        for space in spaces:
            shape = tuple(open_targets(store, space).shape[1:])
            refuse_other_maps(shape, config.model.map_size**2, config.model.maps_width, space)
        return spaces

    def model(self, config: LowLevelTraining) -> LowLevelModel:
        """See `Recipe`."""
        return LowLevelModel(config.model)

    def files(self, config: LowLevelTraining) -> tuple[Path, ...]:
        """None."""
        return ()

    def start(self, config: LowLevelTraining, model: LowLevelModel) -> None:
        """Nothing to do."""

    def task(
        self,
        config: LowLevelTraining,
        model: LowLevelModel,
        data: TrainingData,
        device: torch.device,
    ) -> LowLevelTask:
        """See `Recipe`."""
        return LowLevelTask(
            config, model, *data.split(config.data.validation, config.seed), device=device
        )

    def example(self, config: LowLevelTraining, model: LowLevelModel, batch: int) -> Any:
        """See `Recipe`."""
        voxels = meta_voxels(config.model.n_voxels, batch)
        return model(voxels, with_maps=config.model.with_maps)
