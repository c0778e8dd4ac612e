"""Configurations read off the tensors of the published MindEye (2023) checkpoints.

Dropouts, the norms' groups and the position bias's range leave no trace in the weights; for them
the configurations' defaults, the paper's values, stand.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from torch import Tensor

from mindeye_cli.models.high_level import HighLevelConfig
from mindeye_cli.models.lowlevel import LowLevelConfig
from mindeye_cli.models.prior import PriorConfig
from mindeye_cli.models.published_names import STOCK_PRIOR_KEY, TOKEN_PRIOR_KEY
from mindeye_store.errors import InvalidInput


def high_level_sizes(state: Mapping[str, Tensor]) -> HighLevelConfig:
    """Sizes of a `prior_257` or `prior_1x768` checkpoint; without a prior where its is unknown.

    Raises
    ------
    InvalidInput
        When a tensor that tells a size is absent or has another number of axes.
    """
    hidden, n_voxels = _shape(state, "voxel2clip.lin0.0.weight", 2)
    outputs, _ = _shape(state, "voxel2clip.lin1.weight", 2)
    (width,) = _shape(state, "voxel2clip.projector.0.weight", 1)
    projector_hidden, _ = _shape(state, "voxel2clip.projector.2.weight", 2)
    if outputs % width:
        raise InvalidInput(
            f"{outputs} outputs are no multiple of the token width {width}",
            where="voxel2clip.lin1.weight",
        )
    prior = PriorConfig()
    if STOCK_PRIOR_KEY in state:
        prior = stock_prior_sizes(state)
    elif TOKEN_PRIOR_KEY in state:
        prior = _transformer_sizes(state)
    return HighLevelConfig(
        n_voxels=(n_voxels,),
        tokens=outputs // width,
        width=width,
        hidden=hidden,
        blocks=_count(state, r"voxel2clip\.mlp\.(\d+)\."),
        projector_hidden=projector_hidden,
        with_prior=STOCK_PRIOR_KEY in state or TOKEN_PRIOR_KEY in state,
        prior=prior,
    )


def low_level_sizes(state: Mapping[str, Tensor]) -> LowLevelConfig:
    """Sizes of an `autoencoder` checkpoint.

    Raises
    ------
    InvalidInput
        When a tensor that tells a size is absent, or the feature map is not square.
    """
    hidden, n_voxels = _shape(state, "lin0.0.weight", 2)
    outputs, _ = _shape(state, "lin1.weight", 2)
    (map_channels,) = _shape(state, "norm.weight", 1)
    map_size = math.isqrt(outputs // map_channels)
    if map_channels * map_size**2 != outputs:
        raise InvalidInput(
            f"{outputs} outputs are no square map of {map_channels} channels", where="lin1.weight"
        )
    levels = _count(state, r"upsampler\.up_blocks\.(\d+)\.")
    widths = [
        _shape(state, f"upsampler.up_blocks.{level}.resnets.0.conv2.weight", 4)[0]
        for level in reversed(range(levels))
    ]
    with_maps = "maps_projector.0.weight" in state
    maps_width = _shape(state, "maps_projector.0.weight", 4)[0] if with_maps else 512
    return LowLevelConfig(
        n_voxels=(n_voxels,),
        latent_channels=_shape(state, "upsampler.conv_out.weight", 4)[0],
        latent_size=map_size * 2 ** (levels - 1),
        hidden=hidden,
        blocks=_count(state, r"mlp\.(\d+)\."),
        map_channels=map_channels,
        map_size=map_size,
        upsampler_channels=tuple(widths),
        layers_per_block=_count(state, r"upsampler\.up_blocks\.0\.resnets\.(\d+)\.") - 1,
        maps_width=maps_width,
        with_maps=with_maps,
    )


def stock_prior_sizes(state: Mapping[str, Tensor]) -> PriorConfig:
    """Sizes of DALLE2-pytorch's stock prior, as the pooled checkpoints carry it."""
    _, padding, _ = _shape(state, STOCK_PRIOR_KEY, 3)
    return replace(
        _transformer_sizes(state),
        causal=True,
        inner_norm="net.causal_transformer.layers.0.1.3.g" in state,
        query="token",
        time="table" if "net.to_time_embeds.0.weight" in state else "sinusoid",
        padding=padding,
        drop_condition=0.1,
        drop_image=0.1,
        dropout=0.05,
    )


def _transformer_sizes(state: Mapping[str, Tensor]) -> PriorConfig:
    """What both published priors tell of themselves in the same keys."""
    stem = "net.causal_transformer."
    buckets, heads = _shape(state, f"{stem}rel_pos_bias.relative_attention_bias.weight", 2)
    _, dim_head = _shape(state, f"{stem}layers.0.0.null_kv", 2)
    width, inner = _shape(state, f"{stem}layers.0.1.5.weight", 2)
    (pairs,) = _shape(state, f"{stem}layers.0.0.rotary_emb.freqs", 1)
    (timesteps,) = _shape(state, "noise_scheduler.betas", 1)
    return PriorConfig(
        depth=_count(state, r"net\.causal_transformer\.layers\.(\d+)\."),
        heads=heads,
        dim_head=dim_head,
        ff_mult=inner // width,
        timesteps=timesteps,
        rotary_dims=2 * pairs,
        position_buckets=buckets,
    )


def _shape(state: Mapping[str, Tensor], key: str, axes: int) -> tuple[int, ...]:
    if key not in state:
        raise InvalidInput("the checkpoint lacks a tensor that tells its sizes", where=key)
    shape = tuple(state[key].shape)
    if len(shape) != axes:
        raise InvalidInput(f"shape {shape} where {axes} axes are expected", where=key)
    return shape


def _count(keys: Iterable[str], pattern: str) -> int:
    """One more than the highest index that `pattern` finds at the start of a key."""
    found = (re.match(pattern, key) for key in keys)
    return 1 + max((int(match.group(1)) for match in found if match), default=-1)
