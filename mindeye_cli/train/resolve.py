"""The configuration of a run: preset, file and overrides, with the sizes that the data decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mindeye_cli.core.config import load_config
from mindeye_cli.models import presets
from mindeye_cli.models.prior.config import target_scale
from mindeye_cli.train.config import DataConfig, LoopConfig
from mindeye_cli.train.facts import DataFacts
from mindeye_cli.train.high_level import HighLevelTraining
from mindeye_cli.train.low_level import LowLevelTraining
from mindeye_cli.train.presets import HIGH_LEVEL, LOW_LEVEL
from mindeye_cli.train.request import TrainRequest, preset_name
from mindeye_store import InvalidInput, UsageProblem


def high_level_config(request: TrainRequest, facts: DataFacts, rms: float) -> HighLevelTraining:
    """Resolve the configuration of a high-level run.

    A loss without weight takes its network with it, the prior's scale follows the SPACE's norm, and
    `prior.x` among the overrides is short for `model.prior.x`. `rms` is the root mean square of the
    targets' elements, which a raw space is scaled by.

    Raises
    ------
    InvalidInput
        The targets are neither vectors nor tokens.
    UsageProblem
        An unknown key, or a size that the data contradict.
    """
    shape = facts.target_shape
    if len(shape) > 2:
        raise InvalidInput(
            f"targets of shape {shape} are not tokens",
            where=f"targets/{request.space}",
            fix="train low-level on latents; high-level takes (tokens, width) or (width,)",
        )
    tokens, width = shape if len(shape) == 2 else (1, shape[0])
    sizes = {"n_voxels": facts.n_voxels, "tokens": tokens, "width": width}
    name = preset_name(request, HIGH_LEVEL)
    published = presets.HIGH_LEVEL[name]
    scale = target_scale(facts.target_norm, width, rms)
    prior = {"scale": scale} | published["prior"]  # A preset that has a scale keeps it.
    config = load_config(
        HighLevelTraining,
        preset={**HIGH_LEVEL[name], "model": {**published, "prior": prior, **sizes}},
        file=request.config,
        overrides=[
            f"model.{text}" if text.startswith("prior.") else text for text in request.overrides
        ],
    )
    _refuse_other_sizes(config.model, sizes)
    _refuse_blind_choice(config.data, config.loop)
    losses = config.losses
    if not (losses.contrastive or losses.prior or losses.regression):
        raise UsageProblem(
            "no loss has a weight, so there is nothing to train",
            where="losses",
            fix="set losses.contrastive, losses.prior or losses.regression above 0",
        )
    model = replace(
        config.model,
        with_prior=config.model.with_prior and config.losses.prior > 0.0,
        with_projector=config.model.with_projector and config.losses.contrastive > 0.0,
    )
    return replace(config, model=model)


def low_level_config(request: TrainRequest, facts: DataFacts) -> LowLevelTraining:
    """Resolve the configuration of a low-level run.

    Raises
    ------
    InvalidInput
        The targets are not square latents.
    UsageProblem
        An unknown key, or a size that the data contradict.
    """
    shape = facts.target_shape
    if len(shape) != 3 or shape[1] != shape[2]:
        raise InvalidInput(
            f"targets of shape {shape} are not square latents",
            where=f"targets/{request.space}",
            fix="name a latent space, such as --space scene-vae",
        )
    sizes = {"n_voxels": facts.n_voxels, "latent_channels": shape[0], "latent_size": shape[1]}
    name = preset_name(request, LOW_LEVEL)
    config = load_config(
        LowLevelTraining,
        preset={**LOW_LEVEL[name], "model": {**presets.LOW_LEVEL[name], **sizes}},
        file=request.config,
        overrides=request.overrides,
    )
    _refuse_other_sizes(config.model, sizes)
    _refuse_blind_choice(config.data, config.loop)
    model = replace(config.model, with_maps=config.losses.contrastive > 0.0)
    return replace(config, model=model)


def _refuse_blind_choice(data: DataConfig, loop: LoopConfig) -> None:
    """Refuse to choose the best weights by a score that nothing is held out for.

    Raises
    ------
    UsageProblem
    """
    if loop.select == "best" and not (data.validation and loop.validate_every):
        key = "loop.validate_every" if data.validation else "data.validation"
        raise UsageProblem(
            f"the best weights cannot be told with {key}=0",
            where="loop.select=best",
            fix=f"set {key} above 0, or leave loop.select=last",
        )


def _refuse_other_sizes(model: Any, sizes: Mapping[str, Any]) -> None:
    for key, value in sizes.items():
        if getattr(model, key) != value:
            raise UsageProblem(
                f"{getattr(model, key)} contradicts the data, which have {value}",
                where=f"model.{key}",
                fix=f"leave model.{key} out of the configuration",
            )
