"""Published MindEye (2023) checkpoints brought into this package's names: pure, strict, key by key.

Every published tensor is used, is recomputed here (and checked), or is listed as unused; any other
key, a missing one and a wrong shape are errors that name the key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mindeye_cli.models.high_level import HighLevelConfig, HighLevelModel
from mindeye_cli.models.lowlevel import LowLevelConfig, LowLevelModel
from mindeye_cli.models.prior.attention import rotary_rates
from mindeye_cli.models.prior.diffusion import noise_schedule
from mindeye_cli.models.published_sizes import high_level_sizes, low_level_sizes
from mindeye_store.errors import InvalidInput

BACKBONE_NAMES = [
    (r"^backbone\.stem\.linears\.0\.", "lin0.0."),
    (r"^backbone\.stem\.norm\.", "lin0.1."),
    (r"^backbone\.blocks\.(\d+)\.linear\.", r"mlp.\1.0."),
    (r"^backbone\.blocks\.(\d+)\.norm\.", r"mlp.\1.1."),
    (r"^backbone\.head\.", "lin1."),
]
LAYERS = r"^prior\.net\.transformer\."
PRIOR_NAMES = [
    (r"^prior\.net\.position$", "net.learned_query"),
    (r"^prior\.net\.null_condition$", "net.null_brain_embeds"),
    (r"^prior\.net\.null_image$", "net.null_image_embed"),
    (r"^prior\.net\.time\.0\.", "net.to_time_embeds.0.1.net.0.0."),
    (r"^prior\.net\.time\.2\.", "net.to_time_embeds.0.1.net.1.0."),
    (r"^prior\.net\.time\.4\.", "net.to_time_embeds.0.1.net.2."),
    (LAYERS + r"position\.table\.", "net.causal_transformer.rel_pos_bias.relative_attention_bias."),
    (LAYERS + r"attentions\.(\d+)\.null_key_value$", r"net.causal_transformer.layers.\1.0.null_kv"),
    (LAYERS + r"attentions\.(\d+)\.norm\.weight$", r"net.causal_transformer.layers.\1.0.norm.g"),
    (LAYERS + r"attentions\.(\d+)\.to_query\.", r"net.causal_transformer.layers.\1.0.to_q."),
    (LAYERS + r"attentions\.(\d+)\.to_key_value\.", r"net.causal_transformer.layers.\1.0.to_kv."),
    (LAYERS + r"attentions\.(\d+)\.to_out\.", r"net.causal_transformer.layers.\1.0.to_out.0."),
    (
        LAYERS + r"attentions\.(\d+)\.out_norm\.weight$",
        r"net.causal_transformer.layers.\1.0.to_out.1.g",
    ),
    (LAYERS + r"feeds\.(\d+)\.norm\.weight$", r"net.causal_transformer.layers.\1.1.0.g"),
    (LAYERS + r"feeds\.(\d+)\.expand\.", r"net.causal_transformer.layers.\1.1.1."),
    (LAYERS + r"feeds\.(\d+)\.contract\.", r"net.causal_transformer.layers.\1.1.5."),
    (LAYERS + r"norm\.weight$", "net.causal_transformer.norm.g"),
    (LAYERS + r"to_out\.", "net.causal_transformer.project_out."),
]
HIGH_LEVEL_NAMES = [
    *((pattern, f"voxel2clip.{name}") for pattern, name in BACKBONE_NAMES),
    (r"^projector\.", "voxel2clip.projector."),
    *PRIOR_NAMES,
]
# diffusers renamed its attention layers in 0.17 and maps the old names in from_pretrained alone.
OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
SCHEDULE = (
    "betas",
    "alphas_cumprod",
    "alphas_cumprod_prev",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    "posterior_variance",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
    "p2_loss_weight",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A checkpoint under our names.

    Attributes
    ----------
    config : HighLevelConfig or LowLevelConfig
        Sizes, all read off the tensors.
    tensors : dict of str to Tensor
        Loads strictly into the model of `config`; float32.
    recomputed : tuple of str
        Published keys whose values this package computes itself and that agreed.
    unused : tuple of str
        Published keys left out, such as the stock prior of the pooled model.
    """

    config: HighLevelConfig | LowLevelConfig
    tensors: dict[str, Tensor]
    recomputed: tuple[str, ...]
    unused: tuple[str, ...]

    def build(self) -> HighLevelModel | LowLevelModel:
        """The model with these weights, in evaluation mode."""
        model = _empty(self.config)
        model.load_state_dict(self.tensors, strict=True, assign=True)
        return model.eval()


def from_published(state: Mapping[str, Tensor]) -> Published:
    """Rename a `model_state_dict` of a published file, whichever kind it is.

    Parameters
    ----------
    state : mapping of str to Tensor
        `prior_257`, `prior_1x768` or `autoencoder` layout, of any sizes.

    Raises
    ------
    InvalidInput
        For another layout, unknown or missing keys, shapes that do not fit together, or
        recomputable values that differ from ours.
    """
    for key, value in state.items():
        if not isinstance(value, Tensor):
            raise InvalidInput(f"a {type(value).__name__} where a tensor is expected", where=key)
    if any(key.startswith("voxel2clip.") for key in state):
        return _high_level(state)
    if any(key.startswith("upsampler.") for key in state):
        return _low_level(state)
    raise InvalidInput(
        "not a published MindEye checkpoint: no 'voxel2clip.' and no 'upsampler.' keys",
        fix="pass the file's 'model_state_dict'",
    )


def _high_level(state: Mapping[str, Tensor]) -> Published:
    config = high_level_sizes(state)
    recomputed: list[str] = []
    unused: list[str] = []
    if config.with_prior:
        recomputed = _check_recomputed(state, config)
    else:
        unused = [key for key in state if key.startswith(("net.", "noise_scheduler."))]
    skipped = {*recomputed, *unused}
    used = {key: tensor for key, tensor in state.items() if key not in skipped}
    tensors = _rename(used, config, HIGH_LEVEL_NAMES)
    return Published(
        config=config, tensors=tensors, recomputed=tuple(recomputed), unused=tuple(unused)
    )


def _low_level(state: Mapping[str, Tensor]) -> Published:
    old = re.compile(r"(\.attentions\.\d+)\.(query|key|value|proj_attn)\.")
    renamed = {
        old.sub(lambda found: f"{found[1]}.{OLD_ATTENTION[found[2]]}.", key): tensor
        for key, tensor in state.items()
    }
    if len(renamed) != len(state):
        raise InvalidInput("attention weights are present under their old and their new names")
    config = low_level_sizes(renamed)
    return Published(
        config=config, tensors=_rename(renamed, config, BACKBONE_NAMES), recomputed=(), unused=()
    )


def _rename(
    state: Mapping[str, Tensor],
    config: HighLevelConfig | LowLevelConfig,
    names: list[tuple[str, str]],
) -> dict[str, Tensor]:
    """Our names for `state`, which must hold exactly the tensors of the model of `config`."""
    shapes = _empty(config).state_dict()
    wanted = {_published_name(key, names): key for key in shapes}
    _refuse("unknown", sorted(set(state) - set(wanted)))
    _refuse("missing", sorted(set(wanted) - set(state)))
    for published, ours in wanted.items():
        if state[published].shape != shapes[ours].shape:
            raise InvalidInput(
                f"shape {tuple(state[published].shape)} where the other tensors ask for "
                f"{tuple(shapes[ours].shape)}",
                where=published,
            )
    return {ours: state[published].float().contiguous() for published, ours in wanted.items()}


def _published_name(key: str, names: list[tuple[str, str]]) -> str:
    for pattern, name in names:
        renamed, found = re.subn(pattern, name, key)
        if found:
            return renamed
    return key


def _refuse(what: str, keys: list[str]) -> None:
    if keys:
        more = f" and {len(keys) - 5} more" if len(keys) > 5 else ""
        raise InvalidInput(f"{what} keys in the checkpoint", where=", ".join(keys[:5]) + more)


def _empty(config: HighLevelConfig | LowLevelConfig) -> HighLevelModel | LowLevelModel:
    """The model without storage, for its names and shapes."""
    with torch.device("meta"):
        if isinstance(config, HighLevelConfig):
            return HighLevelModel(config)
        return LowLevelModel(config)


def _check_recomputed(state: Mapping[str, Tensor], config: HighLevelConfig) -> list[str]:
    """Keys of the noise schedule and the rotary frequencies, once they agree with ours."""
    layer = "net.causal_transformer.layers.{}.0.rotary_emb.freqs"
    rotary = [layer.format(index) for index in range(config.prior.depth)]
    expected = [*(f"noise_scheduler.{name}" for name in SCHEDULE), *rotary]
    found = {key for key in state if key.startswith("noise_scheduler.") or key.endswith(".freqs")}
    _refuse("unknown", sorted(found - set(expected)))
    _refuse("missing", sorted(set(expected) - found))
    # The other eleven arrays of the schedule are functions of its betas.
    schedule = noise_schedule(config.prior.timesteps)
    ours = {f"noise_scheduler.{name}": getattr(schedule, name) for name in SCHEDULE[:2]}
    ours |= dict.fromkeys(rotary, rotary_rates(config.prior.rotary_dims, torch.device("cpu")))
    for key, value in ours.items():
        theirs = state[key].float()
        if theirs.shape != value.shape or not torch.allclose(theirs, value, atol=1e-6, rtol=1e-4):
            raise InvalidInput("the values differ from those this package computes", where=key)
    return expected
