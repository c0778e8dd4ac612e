"""The package's side of `train_step.py`: everything the benchmark takes from it goes through here.

Shapes: `B` batch, `R` repeats, `V` voxels, `T` tokens, `D` token width.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transcription.sizes import Sizes

from mindeye_cli.core.sampler import rng
from mindeye_cli.models.high_level import HighLevelConfig, HighLevelModel
from mindeye_cli.models.losses import Mix
from mindeye_cli.models.prior import PriorConfig
from mindeye_cli.models.prior.attention import rotary_angles
from mindeye_cli.models.prior.draws import PriorDraws, draw_prior
from mindeye_cli.models.published import from_published
from mindeye_cli.models.running import compile_parts, save_memory
from mindeye_cli.train.batch import Batch, Mixing, Moment, share_of
from mindeye_cli.train.config import DataConfig, OptimConfig, Precision
from mindeye_cli.train.draws import draw_responses
from mindeye_cli.train.engine import Engine
from mindeye_cli.train.high_level import HighLevelTask, HighLevelTraining, HighLossConfig
from mindeye_cli.train.optim import make_optimizer
from mindeye_cli.train.pace import SHARE
from mindeye_cli.train.responses import KeptTargets, ResponseSet
from mindeye_cli.train.study import StudySet, epoch_batches, steps_per_epoch

SEED = 0
SAVES = SHARE  # of a training's time, at most
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def responses(voxels: NDArray[np.float32], targets: Tensor, device: torch.device) -> ResponseSet:
    """Voxels (n, R, V) and targets (n, T, D) as the training engine holds them."""
    count, repeats, width = voxels.shape
    held = ResponseSet(
        voxels=torch.from_numpy(voxels.reshape(count * repeats, width)),
        repeats=torch.arange(count * repeats).view(count, repeats),
        counts=np.full(count, repeats, dtype=np.int64),
        targets=KeptTargets((targets,)),
        image_rows=np.arange(count, dtype=np.int64),
    )
    return held.to(device)


class Ours:
    """One training step of the package.

    Parameters
    ----------
    model : HighLevelModel
    training : ResponseSet
    batch, epochs : int
    precision : {"fp32", "bf16", "fp16"}
    checkpointing : bool
    """

    def __init__(
        self,
        model: HighLevelModel,
        training: ResponseSet,
        *,
        batch: int,
        epochs: int = 240,
        precision: Precision = "fp32",
        checkpointing: bool = False,
    ) -> None:
        self.engine = Engine(precision)
        self.device = training.voxels.device
        self.config = HighLevelTraining(
            model=model.config,
            seed=SEED,
            data=DataConfig(repeats="one"),
            losses=HighLossConfig(published_mixco=True),
            optim=OptimConfig(batch=batch, epochs=epochs, precision=precision),
        )
        self.model = model.to(self.device).train()
        save_memory(self.model, checkpointing)
        self.study = StudySet([training], SEED)
        ids = [str(row) for row in training.image_rows]
        self.task = HighLevelTask(self.config, self.model, self.study, self.study, ids, self.device)
        self.wrapped = self.engine.wrap(self.model)
        self.optimizer = make_optimizer(self.model, self.config.optim)
        self.step_number = 0

    def compile(self) -> None:
        """Compile the networks; the draws, which are keyed per image, stay outside."""
        compile_parts(self.model)

    def moment(self, step: int) -> Moment:
        """Where a step is in the run."""
        return Moment(step, step // self._per_epoch(), self.config.optim.epochs)

    def items(self, step: int) -> NDArray[np.int64]:
        """Positions of a step's images in the training set."""
        epoch, within = divmod(step, self._per_epoch())
        return epoch_batches(self.study.sizes, self.config.optim.batch, SEED, epoch)[within]

    def fetch(self, step: int) -> Batch:
        """What the device waits for: voxels (B, V) and targets (B, T, D) of a step."""
        items = self.items(step)
        return self.task.draw(items, self.moment(step), share_of(len(items), 0, 1))

    def loss(self, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Total loss of a step and its parts, in the chosen precision."""
        return self.task.loss(self.wrapped, self.fetch(step), self.moment(step))

    def step(self) -> None:
        """Loss, gradients and update of the next step.

        The loop's step does more: it keys dropout, sets the rates, and now and then logs, looks
        for a divergence, validates and saves.
        """
        loss, _ = self.loss(self.step_number)
        self.optimizer.zero_grad(set_to_none=True)
        self.engine.backward(loss)
        self.update()
        self.step_number += 1

    def update(self) -> None:
        """The optimiser's part of a step."""
        self.engine.step(self.optimizer, self.model, 0.0)

    def attention(self, x: Tensor, grad: Tensor) -> None:
        """Forward and backward of the position bias and of every attention layer, alone."""
        assert self.model.prior is not None, "the benchmark's model has all parts"
        transformer = self.model.prior.net.transformer
        with self._autocast():
            bias = transformer.position(x.shape[1])
            angles = rotary_angles(x.shape[1], transformer.rotary_dims, x.device)
            out = sum(layer(x, bias, angles) for layer in transformer.attentions)
        assert isinstance(out, Tensor), "the prior has layers"
        out.backward(grad.to(out.dtype))

    def draws(self, step: int) -> tuple[Mix, PriorDraws]:
        """The draws of a step, as the task makes them."""
        batch, config, losses = self.fetch(step), self.model.config, self.config.losses
        assert batch.sources is not None, "the benchmark's model has a prior"
        mixing = Mixing(losses.mixco_beta, losses.mixco_fraction)
        mix = batch.mix or mixing.draw(len(batch.target), rng(SEED, "mixco", step))
        shape = (len(batch.target), config.tokens, config.width)
        return mix, draw_prior(shape, config.prior, batch.sources, self.device)

    def unmixed(self, step: int) -> tuple[Tensor, Tensor]:
        """Responses (B, V) of a step before they are mixed, and targets (B, T, D)."""
        items, at = self.items(step), self.moment(step)
        responses, data = self.study.parts[0], self.config.data
        voxels = draw_responses(responses, data, items, SEED, at.epoch, at.keys)
        return voxels, responses.targets.read(items).float()

    def temperature(self, step: int) -> float | None:
        """SoftCLIP's temperature at a step; None in the BiMixCo phase."""
        at = self.moment(step)
        if at.epoch < self.task.mixing_epochs(at.epochs):
            return None
        return self.task.temperature(at)

    def _per_epoch(self) -> int:
        return steps_per_epoch(self.study.sizes, self.config.optim.batch)

    def _autocast(self) -> AbstractContextManager[Any]:
        precision = self.config.optim.precision
        if precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, DTYPES[precision])


def from_transcription(state: Mapping[str, Tensor]) -> HighLevelModel:
    """The package's model with the weights of a state dictionary in the published layout."""
    built = from_published(state).build()
    assert isinstance(built, HighLevelModel), "the layout is the high-level model's"
    return built


def sizes_of(state: Mapping[str, Tensor]) -> Sizes:
    """Sizes of a state dictionary in the published layout."""
    config = from_transcription(state).config
    return Sizes(
        voxels=config.n_voxels[0],
        hidden=config.hidden,
        blocks=config.blocks,
        tokens=config.tokens,
        width=config.width,
        projector_hidden=config.projector_hidden,
        depth=config.prior.depth,
        heads=config.prior.heads,
        dim_head=config.prior.dim_head,
        ff_mult=config.prior.ff_mult,
        timesteps=config.prior.timesteps,
        rotary=config.prior.rotary_dims,
    )


def fresh_model(sizes: Sizes, device: torch.device) -> HighLevelModel:
    """A newly initialised model of these sizes, made on the device."""
    prior = PriorConfig(
        depth=sizes.depth,
        heads=sizes.heads,
        dim_head=sizes.dim_head,
        ff_mult=sizes.ff_mult,
        timesteps=sizes.timesteps,
        drop_condition=sizes.drop_condition,
        drop_image=sizes.drop_image,
        rotary_dims=sizes.rotary,
    )
    config = HighLevelConfig(
        n_voxels=(sizes.voxels,),
        tokens=sizes.tokens,
        width=sizes.width,
        hidden=sizes.hidden,
        blocks=sizes.blocks,
        dropout_in=sizes.dropout_in,
        dropout=sizes.dropout,
        projector_hidden=sizes.projector_hidden,
        prior=prior,
    )
    with device:
        return HighLevelModel(config)
