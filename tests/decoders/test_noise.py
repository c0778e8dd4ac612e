"""A seed's noise in half precision is its single-precision noise, rounded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from decoders import layouts

from mindeye_cli.models.decoders import load_decoder
from mindeye_cli.models.decoders.base import Sampling
from mindeye_cli.models.decoders.noise import SinglePrecisionNoise


def drawn(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(5,), (1, 4, 8, 8), (4096,)])
def test_half_precision_is_rounded(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    single = drawn(shape, torch.float32)
    with SinglePrecisionNoise():
        half = drawn(shape, dtype)
        assert torch.equal(drawn(shape, torch.float32), single)
        assert torch.equal(drawn(shape, torch.float64), drawn(shape, torch.float64))
    assert half.dtype is dtype and torch.equal(half, single.to(dtype))


@pytest.mark.parametrize("start", [False, True])
def test_a_generator_in_half_precision_draws_the_same_picture(tmp_path: Path, start: bool) -> None:
    layouts.save_versatile_diffusion(tmp_path)
    random = np.random.default_rng(0)
    tokens = random.standard_normal((1, 257, 16), np.float32)
    latents = random.standard_normal((1, 4, layouts.SIDE, layouts.SIDE), np.float32)
    sampling = Sampling(steps=4, guidance=3.0, strength=0.5)
    whole, half = (load_decoder("versatile-diffusion", tmp_path) for _ in range(2))
    half.dtype = torch.float16  # type: ignore[attr-defined]
    half.unet.half()  # type: ignore[attr-defined]
    pictures = [
        one.generate(tokens, [7], sampling, latents if start else None) for one in (whole, half)
    ]
    np.testing.assert_allclose(pictures[1], pictures[0], atol=5e-3)
