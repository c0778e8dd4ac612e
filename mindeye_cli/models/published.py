"""Published MindEye (2023) checkpoints brought into this package's names: pure, strict, key by key.

Every published tensor is used, is recomputed here (and checked), or is listed as unused; any other
key, a missing one and a wrong shape are errors that name the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mindeye_cli.models import published_names as names
from mindeye_cli.models.high_level import HighLevelConfig, HighLevelModel
from mindeye_cli.models.lowlevel import LowLevelConfig, LowLevelModel
from mindeye_cli.models.published_checks import check_recomputed, refuse_keys
from mindeye_cli.models.published_sizes import high_level_sizes, low_level_sizes
from mindeye_store.errors import InvalidInput

Layout = Literal["prior_257", "prior_1x768", "autoencoder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A checkpoint under our names.

    Attributes
    ----------
    layout : {"prior_257", "prior_1x768", "autoencoder"}
        Which of the published files it is like.
    config : HighLevelConfig or LowLevelConfig
        Sizes, all read off the tensors.
    tensors : dict of str to Tensor
        Loads strictly into the model of `config`; float32.
    used : tuple of str
        Published keys behind `tensors`, as they are in the file.
    recomputed : tuple of str
        Published keys whose values this package computes itself and that agreed.
    unused : tuple of str
        Published keys left out: those of a prior of unknown layout.
    note : str
        Why some are unused; empty when none is.
    """

    layout: Layout
    config: HighLevelConfig | LowLevelConfig
    tensors: dict[str, Tensor]
    used: tuple[str, ...]
    recomputed: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    note: str = ""

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
        For another layout, unknown or missing keys, shapes that do not fit together, values that
        are not finite, or recomputable values that differ from ours.
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
    if not config.with_prior:
        return _without_prior(state, config)
    recomputed = check_recomputed(state, config.prior)
    used = {key: tensor for key, tensor in state.items() if key not in set(recomputed)}
    stock = names.STOCK_PRIOR_KEY in state
    table = names.high_level_names(names.STOCK_PRIOR if stock else names.TOKEN_PRIOR)
    return Published(
        layout="prior_1x768" if stock else "prior_257",
        config=config,
        tensors=rename(stock_tables(used) if stock else used, _empty(config).state_dict(), table),
        used=tuple(used),
        recomputed=tuple(recomputed),
    )


def _without_prior(state: Mapping[str, Tensor], config: HighLevelConfig) -> Published:
    unused = tuple(key for key in state if key.startswith(("net.", "noise_scheduler.")))
    note = (
        f"the prior is of an unknown layout: it has neither {names.TOKEN_PRIOR_KEY}"
        f" nor {names.STOCK_PRIOR_KEY}"
    )
    used = {key: tensor for key, tensor in state.items() if key not in set(unused)}
    return Published(
        layout="prior_1x768" if config.tokens == 1 else "prior_257",
        config=config,
        tensors=rename(used, _empty(config).state_dict(), names.high_level_names([])),
        used=tuple(used),
        unused=unused,
        note=note if unused else "",
    )


def _low_level(state: Mapping[str, Tensor]) -> Published:
    renamed = {names.today_name(key): tensor for key, tensor in state.items()}
    if len(renamed) != len(state):
        raise InvalidInput("attention weights are present under their old and their new names")
    config = low_level_sizes(renamed)
    return Published(
        layout="autoencoder",
        config=config,
        tensors=rename(renamed, _empty(config).state_dict(), names.BACKBONE),
        used=tuple(state),
    )


def stock_tables(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The stock prior's single vectors and tables as ours, (rows, width); others unchanged."""
    shaped = dict(state)
    for key in ("net.null_text_encodings", "net.null_text_embeds"):
        if key in shaped and shaped[key].dim() == 3 and len(shaped[key]) == 1:
            shaped[key] = shaped[key][0]
    if "net.learned_query" in shaped and shaped["net.learned_query"].dim() == 1:
        shaped["net.learned_query"] = shaped["net.learned_query"][None]
    return shaped


def rename(
    state: Mapping[str, Tensor], ours: Mapping[str, Tensor], table: names.Names
) -> dict[str, Tensor]:
    """Published tensors under our names.

    Parameters
    ----------
    state : mapping of str to Tensor
        Published keys.
    ours : mapping of str to Tensor
        Our state dict, for its names and shapes.
    table : list of pairs
        One of `published_names`.

    Returns
    -------
    dict of str to Tensor
        float32, contiguous; one for every name of `ours`.

    Raises
    ------
    InvalidInput
        An unknown or missing key, another shape, values that are not finite.
    """
    wanted = {names.published_name(name, table): name for name in ours}
    refuse_keys("unknown", set(state) - set(wanted))
    refuse_keys("missing", set(wanted) - set(state))
    for published, name in wanted.items():
        if state[published].shape != ours[name].shape:
            raise InvalidInput(
                f"shape {tuple(state[published].shape)} where the other tensors ask for "
                f"{tuple(ours[name].shape)}",
                where=published,
            )
        if not torch.isfinite(state[published]).all():
            raise InvalidInput("values that are not finite", where=published)
    return {name: state[published].float().contiguous() for published, name in wanted.items()}


def _empty(config: HighLevelConfig | LowLevelConfig) -> HighLevelModel | LowLevelModel:
    """The model without storage, for its names and shapes."""
    with torch.device("meta"):
        if isinstance(config, HighLevelConfig):
            return HighLevelModel(config)
        return LowLevelModel(config)
