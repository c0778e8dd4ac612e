"""Kandinsky 2.2 and Stable unCLIP against diffusers' pipelines called as their pages say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from decoders import layouts
from PIL import Image

from mindeye_cli.models.decoders import load_decoder, to_pixels
from mindeye_cli.models.decoders.base import Sampling

SIDE = 2 * layouts.SIDE


def embeddings(n: int = 2) -> Any:
    return np.random.default_rng(5).standard_normal((n, 12)).astype(np.float32)


@pytest.mark.filterwarnings("ignore:.*__array__.*:DeprecationWarning")
@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_kandinsky(tmp_path: Path, strength: float) -> None:
    from diffusers import (
        DDPMScheduler,
        KandinskyV22Img2ImgPipeline,
        KandinskyV22Pipeline,
        UNet2DConditionModel,
        VQModel,
    )

    layouts.save_kandinsky(tmp_path)
    decoder, rows = load_decoder("kandinsky-2.2", tmp_path), embeddings()
    draw = np.random.default_rng(6)
    latents = draw.standard_normal((2, 4, layouts.SIDE, layouts.SIDE)).astype(np.float32)
    start = latents if strength < 1 else None
    drawn = decoder.generate(
        rows, [1, 2], Sampling(steps=4, guidance=3.0, strength=strength), start
    )
    kind = KandinskyV22Img2ImgPipeline if strength < 1 else KandinskyV22Pipeline
    pipeline = kind(
        unet=UNet2DConditionModel.from_pretrained(tmp_path / "unet"),
        movq=VQModel.from_pretrained(tmp_path / "movq"),
        scheduler=DDPMScheduler.from_pretrained(tmp_path / "scheduler"),
    )
    pipeline.set_progress_bar_config(disable=True)
    low = to_pixels(decoder.decode_latents(latents))
    for k, seed in enumerate((1, 2)):
        embedding = torch.from_numpy(rows[k : k + 1])
        more: dict[str, Any] = {}
        if strength < 1:
            more = {"image": Image.fromarray(low[k]), "strength": strength}
        expected = pipeline(
            image_embeds=embedding,
            negative_image_embeds=torch.zeros_like(embedding),
            guidance_scale=3.0,
            num_inference_steps=4,
            height=SIDE,
            width=SIDE,
            generator=torch.Generator().manual_seed(seed),
            output_type="np",
            **more,
        ).images[0]
        # A picture of 8 bits is the pipeline's usual start; ours is not rounded.
        np.testing.assert_allclose(drawn[k], expected, atol=1e-4 if strength == 1 else 0.02)


def test_stable_unclip(tmp_path: Path) -> None:
    from diffusers import StableUnCLIPImg2ImgPipeline, UniPCMultistepScheduler
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    layouts.save_stable_unclip(tmp_path)
    decoder, rows = load_decoder("stable-unclip", tmp_path), embeddings()
    drawn = decoder.generate(rows, [1, 2], Sampling(steps=4, guidance=3.0, strength=1.0), None)
    vision = CLIPVisionConfig(
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        image_size=8,
        patch_size=8,
        projection_dim=12,
    )
    pipeline = StableUnCLIPImg2ImgPipeline.from_pretrained(
        tmp_path,
        image_encoder=CLIPVisionModelWithProjection(vision),
        feature_extractor=None,
    )
    pipeline.scheduler = UniPCMultistepScheduler.from_config(
        pipeline.scheduler.config, timestep_spacing="linspace"
    )
    pipeline.set_progress_bar_config(disable=True)
    for k, seed in enumerate((1, 2)):
        expected = pipeline(
            prompt="",
            image_embeds=torch.from_numpy(rows[k : k + 1]),
            guidance_scale=3.0,
            num_inference_steps=4,
            generator=torch.Generator().manual_seed(seed),
            output_type="np",
        ).images[0]
        np.testing.assert_allclose(drawn[k], expected, atol=1e-4)
