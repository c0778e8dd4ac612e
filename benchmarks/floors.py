"""What a step cannot be faster than: memory traffic over bandwidth, operations over matmul rate."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode
from transcription.losses import Transcription, draw
from transcription.sizes import Sizes

# Weights, gradients and both moments of AdamW in float32, each read once and written once.
BYTES_PER_WEIGHT = 4 * 2 * 4


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Wall time of one call, with the device's queue empty before and after."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def typical(work: Callable[[], object], device: torch.device, rounds: int = 9) -> float:
    """Median seconds of one call after a first one."""
    work()
    return median(seconds(work, device) for _ in range(rounds))


def copy_bandwidth(device: torch.device, megabytes: int) -> float:
    """Bytes a second, read and written, while a block is copied."""
    source = torch.ones(megabytes * 2**18, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / typical(lambda: target.copy_(source), device)


def matmul_rate(device: torch.device, dtype: torch.dtype, size: int) -> float:
    """Operations a second of a product of two square matrices."""
    left, right = torch.randn(2, size, size, device=device).to(dtype).unbind()
    return 2 * size**3 / typical(lambda: left @ right, device)


def operations(sizes: Sizes) -> int:
    """Multiplications and additions of all matrix products of a step, forward and backward."""
    meta = torch.device("meta")
    with meta:
        model = Transcription(sizes)
        voxels = torch.zeros(sizes.batch, sizes.voxels)
        target = torch.zeros(sizes.batch, sizes.tokens, sizes.width)
    with FlopCounterMode(display=False) as counter:
        model(voxels, target, draw(sizes, meta), 0.006)[0].backward()
    return int(counter.get_total_flops())


def floors(
    sizes: Sizes, parameters: int, device: torch.device, dtype: torch.dtype
) -> dict[str, float]:
    """Both floors in milliseconds, with the rates and amounts that make them."""
    large = device.type == "cuda"
    bandwidth = copy_bandwidth(device, 2048 if large else 128)
    rate = matmul_rate(device, dtype, 8192 if large else min(1024, sizes.hidden))
    amount, moved = operations(sizes), BYTES_PER_WEIGHT * parameters
    return {
        "copy_gb_per_s": bandwidth / 1e9,
        "matmul_gflop_per_s": rate / 1e9,
        "gflop": amount / 1e9,
        "gb": moved / 1e9,
        "compute_ms": 1e3 * amount / rate,
        "memory_ms": 1e3 * moved / bandwidth,
    }
