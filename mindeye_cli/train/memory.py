"""What a run needs before it starts: parameters, and bytes for weights, training and data.

Activations are counted, not guessed: one forward pass on torch's meta device, which computes shapes
alone, with a hook that adds up what autograd keeps for the way back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from mindeye_cli.train.config import LoopConfig, OptimConfig
from mindeye_store.errors import UsageProblem

# AdamW keeps two moments beside weights and gradients, all of them float32.
BYTES = 4
# Of the memory that is free, what a run may plan to take: the rest is for buffers and fragments.
SPARE = 0.9


def free_memory(device: torch.device | None = None) -> int:
    """Bytes that are free on a device; main memory by default."""
    if device is not None and device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def activation_bytes(model: nn.Module, forward: Callable[[], Any]) -> int:
    """Bytes that autograd keeps during `forward`, a pass of a model on the meta device."""
    weights = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    kept: dict[int, tuple[Tensor, int]] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            kept[storage._cdata] = (tensor, storage.nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        forward()
    return sum(size for _, size in kept.values())


def plan(
    model: nn.Module,
    optim: OptimConfig,
    loop: LoopConfig,
    *,
    activations: int,
    data_bytes: int,
    steps: int,
) -> dict[str, Any]:
    """Count a network that may live on the meta device.

    Parameters
    ----------
    model : Module
    optim, loop : OptimConfig, LoopConfig
        Decide how many copies of the weights are kept.
    activations : int
        Bytes that one process keeps for the way back, in float32.
    data_bytes : int
        Responses and targets held in memory.
    steps : int
        Optimiser steps of the whole run.

    Returns
    -------
    dict
        `parameters` (trainable), `by_part`, `planned_steps` and `bytes`: `weights`, `gradients`,
        `moments`, `copies` (averaged, best and half-precision weights), `activations`, `data`,
        `total`.
    """
    by_part: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        part = name.partition(".")[0]
        by_part[part] = by_part.get(part, 0) + parameter.numel()
    weights = BYTES * sum(by_part.values())
    half = optim.precision != "fp32"
    needs = {
        "weights": weights,
        "gradients": weights,
        "moments": 2 * weights,
        # The averaged weights, and the live ones put aside while those are validated.
        "copies": weights * (2 * (optim.ema > 0.0) + (loop.select == "best")) + half * weights // 2,
        # Norms, softmax and losses stay float32 under autocast, about a fifth of the bytes.
        "activations": int(activations * (0.6 if half else 1.0)),
        "data": data_bytes,
    }
    return {
        "parameters": sum(by_part.values()),
        "by_part": by_part,
        "planned_steps": steps,
        "bytes": {**needs, "total": sum(needs.values())},
    }


def fits(needs: dict[str, int], device: torch.device, *, data: int) -> bool:
    """Whether the plan's bytes fit the device with so many bytes of data."""
    return needs["total"] - needs["data"] + data <= SPARE * free_memory(device)


def refuse_too_large(needs: dict[str, int], device: torch.device, data: int) -> None:
    """Stop before anything is read where a run cannot fit.

    Parameters
    ----------
    needs : dict
        Bytes of the plan.
    device : torch.device
    data : int
        Bytes of data that must lie on the device.

    Raises
    ------
    UsageProblem
        With the numbers and what would lower them.
    """
    if fits(needs, device, data=data):
        return
    shares = {name: needs[name] for name in needs if name not in ("data", "total")}
    if data:
        shares["data"] = data
    named = ", ".join(f"{name} {size / 2**30:.1f}" for name, size in shares.items())
    raise UsageProblem(
        f"the run needs {sum(shares.values()) / 2**30:.1f} GiB ({named}) and"
        f" {free_memory(device) / 2**30:.1f} GiB are free",
        where=f"memory of {device.type}",
        fix="--preset lean, or --set optim.accumulate=4 --set optim.checkpointing=true"
        " --set optim.precision=bf16, or a smaller model.hidden",
    )
