"""Sizes and rates of the diffusion prior, and the scale of the space it works in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from mindeye_store.errors import InvalidInput, UsageProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorConfig:
    """Everything about the prior that its tokens' number and width do not decide.

    Attributes
    ----------
    depth, heads, dim_head, ff_mult : int
        Transformer layers, query heads, width of a head, feed-forward width over token width.
    timesteps : int
        Steps of the cosine noise schedule.
    drop_condition, drop_image : float
        Chance, per training sample and independently, that the brain tokens or the noisy image
        tokens are replaced by their learned null tables.
    rotary_dims : int
        Dimensions of a head that are rotated by position, at most `dim_head`.
    position_buckets, position_max : int
        Buckets of the relative position bias and the distance at which they end.
    scale : float
        The target is multiplied by this before noising and divided after sampling. 0 stands for
        sqrt(token width), right for targets whose tokens have unit norm; see `target_scale`.
    residual : bool
        Predict the difference from the brain tokens, which start as the answer. The published
        prior does not. It is meant for short schedules and for a backbone that is itself fitted
        to the scaled target (`losses.regression`).
    causal : bool
        A position attends to itself, to those before it and to the null key alone.
    query : {"added", "token"}
        How the answer is asked for: a learned table added to the noisy tokens, whose positions are
        then the output, or learned tokens of their own after them (DALLE2-pytorch's stock prior).
    time : {"sinusoid", "table"}
        The time token: an MLP over a sinusoid of the step, or a learned row for every step.
    padding : int
        Learned tokens before the condition: what the stock prior reads where it has no text.
    inner_norm : bool
        A gain-only norm inside the feed-forward, after its gate (Shleifer et al. 2021, NormFormer).
    dropout : float
        While training, of attention weights and of the feed-forward's hidden values.
    init : str
        File with the stock prior's weights to start from; empty starts from random ones.
    """

    depth: int = 6
    heads: int = 12
    dim_head: int = 64
    ff_mult: int = 4
    timesteps: int = 100
    drop_condition: float = 0.2
    drop_image: float = 0.2
    rotary_dims: int = 32
    position_buckets: int = 32
    position_max: int = 128
    scale: float = 0.0
    residual: bool = False
    causal: bool = False
    query: Literal["added", "token"] = "added"
    time: Literal["sinusoid", "table"] = "sinusoid"
    padding: int = 0
    inner_norm: bool = False
    dropout: float = 0.0
    init: str = ""

    def __post_init__(self) -> None:
        """Refuse what the network cannot be built with."""
        for name in ("depth", "heads", "dim_head", "ff_mult", "timesteps", "position_buckets"):
            if getattr(self, name) < 1:
                raise UsageProblem(f"prior.{name} must be at least 1")
        if self.padding < 0:
            raise UsageProblem("prior.padding must not be negative")
        for name in ("drop_condition", "drop_image", "dropout"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise UsageProblem(f"prior.{name} must be in [0, 1)")
        if self.scale < 0 or not math.isfinite(self.scale):
            raise UsageProblem("prior.scale must be positive, or 0 for sqrt(token width)")


def target_scale(norm: str, width: int, rms: float | None = None) -> float:
    """The scale that brings a target space near unit variance per element.

    Parameters
    ----------
    norm : {"cls", "unit", "raw"}
        What the SPACE declares: tokens divided by the norm of the CLS token, rows of unit norm, or
        values as the encoder gives them.
    width : int
        Token width.
    rms : float, optional
        Root mean square of the training targets' elements; needed for "raw" alone.

    Returns
    -------
    float
        sqrt(width) for "cls" and "unit" (the published value for CLS-divided tokens), 1/rms for
        "raw".

    Raises
    ------
    InvalidInput
        For an unknown norm, or "raw" without a positive finite `rms`.
    """
    if norm in ("cls", "unit"):
        return math.sqrt(width)
    if norm != "raw":
        raise InvalidInput(f"target norm {norm!r} is not one of cls, unit, raw")
    if rms is None or not math.isfinite(rms) or rms <= 0:
        raise InvalidInput(f"a raw target space needs a positive root mean square, not {rms}")
    return 1.0 / rms
