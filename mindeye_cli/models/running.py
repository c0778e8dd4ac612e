"""Where and how a model's passes are computed, without changing what they compute."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def pick_device() -> torch.device:
    """This process's CUDA device as a launcher numbers them, else the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def use_fast_products(device: torch.device) -> None:
    """Multiply matrices in TF32 on a CUDA device, as published; a CPU keeps single precision."""
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")


class Recomputing(nn.Module):
    """A module that may forget its inner activations and compute them again on the way back.

    Attributes
    ----------
    recompute : bool
        Set by `save_memory`.
    """

    recompute: bool = False

    def piece(self, function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        """`function(*inputs)`, whose activations are kept or computed again.

        Computing again restores the random state, so dropout draws the same masks.
        """
        if not (self.recompute and torch.is_grad_enabled()):
            return function(*inputs)
        out: Tensor = checkpoint(function, *inputs, use_reentrant=False)
        return out


def save_memory(model: nn.Module, on: bool) -> None:
    """Let every part of a model that can recompute its activations do so, or not."""
    for module in model.modules():
        if isinstance(module, Recomputing):
            module.recompute = on


def compile_parts(model: nn.Module) -> None:
    """Compile the parts that name themselves in `compiled`, each into one graph.

    The parts between them draw random numbers from generators, which would break the graphs.
    """
    modules = dict(model.named_modules())
    for name in getattr(model, "compiled", ()):
        if name in modules:
            modules[name].compile(dynamic=False)
