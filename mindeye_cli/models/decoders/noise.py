"""Noise that a seed alone decides, whatever precision a generator computes in.

`torch.randn` draws half precision by an algorithm of its own: with torch 2.11 on a processor with
AVX-512, a seed's float16 noise has nothing in common with its float32 noise. diffusers asks for
noise in the precision of the network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

HALVES = (torch.float16, torch.bfloat16)


class SinglePrecisionNoise(TorchFunctionMode):
    """Within it `torch.randn` draws in float32 and rounds to the precision asked for."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """See :class:`torch.overrides.TorchFunctionMode`."""
        kwargs = kwargs or {}
        asked = kwargs.get("dtype")
        if func is torch.randn and asked in HALVES:
            return func(*args, **{**kwargs, "dtype": torch.float32}).to(asked)
        return func(*args, **kwargs)
