"""The IP-Adapter decoder against diffusers' pipeline with one row, where that is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from decoders import layouts
from safetensors.torch import load_file, save_file

from mindeye_cli.models.decoders import load_decoder
from mindeye_cli.models.decoders.base import Sampling
from mindeye_cli.models.decoders.ip_adapter import ADAPTER
from mindeye_store.errors import InvalidInput, MissingResource


def test_rows_equal_the_stock_pipeline_alone(tmp_path: Path) -> None:
    layouts.save_ip_adapter(tmp_path)
    rows = np.random.default_rng(0).standard_normal((2, 12)).astype(np.float32)
    settings = Sampling(steps=4, guidance=3.0, strength=1.0)
    drawn = load_decoder("ip-adapter", tmp_path).generate(rows, [1, 2], settings, None)
    pipeline = stock(tmp_path)
    for row, seed, picture in zip(rows, (1, 2), drawn, strict=True):
        embedding = torch.from_numpy(row)[None, None]
        expected = pipeline(
            "",
            ip_adapter_image_embeds=[torch.cat([torch.zeros_like(embedding), embedding])],
            num_inference_steps=4,
            guidance_scale=3.0,
            height=2 * layouts.SIDE,
            width=2 * layouts.SIDE,
            generator=torch.Generator().manual_seed(seed),
            output_type="np",
        ).images[0]
        np.testing.assert_allclose(picture, expected, atol=1e-4)


def stock(folder: Path) -> Any:
    """`StableDiffusionPipeline.from_pretrained` and `load_ip_adapter`, as their page says."""
    from diffusers import StableDiffusionPipeline, UniPCMultistepScheduler

    pipeline = StableDiffusionPipeline.from_pretrained(
        folder, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    pipeline.scheduler = UniPCMultistepScheduler.from_config(
        pipeline.scheduler.config, timestep_spacing="linspace"
    )
    pipeline.load_ip_adapter(
        str(folder),
        subfolder="models",
        weight_name="ip-adapter_sd15.safetensors",
        image_encoder_folder=None,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize("fault", ["missing", "unexpected", "plus", "absent", "damaged", "narrow"])
def test_adapters_that_do_not_fit(tmp_path: Path, fault: str) -> None:
    layouts.save_ip_adapter(tmp_path)
    file = tmp_path / ADAPTER
    weights = load_file(file)
    key = "ip_adapter.1.to_k_ip.weight"
    expected: Any = (InvalidInput, "to_k_ip")
    if fault == "missing":
        del weights[key]
    elif fault == "unexpected":
        weights["ip_adapter.99.to_k_ip.weight"] = weights[key].clone()
    elif fault == "plus":
        weights["image_proj.latents"] = torch.zeros(1, 16, 8)
        expected = (InvalidInput, "image_proj.latents")
    elif fault == "narrow":
        weights[key] = weights[key][:, :-1].contiguous()
        expected = (InvalidInput, "does not fit this UNet")
    save_file(weights, file)
    if fault == "absent":
        file.unlink()
        expected = (MissingResource, "ip-adapter_sd15.safetensors")
    elif fault == "damaged":
        file.write_bytes(b"not tensors")
        expected = (InvalidInput, "not safetensors")
    with pytest.raises(expected[0], match=expected[1]):
        load_decoder("ip-adapter", tmp_path)
