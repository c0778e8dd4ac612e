"""The assembly of Versatile Diffusion's image branch against diffusers' own pipeline of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from decoders import layouts

from mindeye_cli.models.decoders import DECODERS, load_decoder
from mindeye_cli.models.decoders.base import Sampling
from mindeye_cli.models.decoders.stable_diffusion import read_unipc

TOKENS, WIDTH = 257, 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("versatile")
    layouts.save_versatile_diffusion(path)
    return path


def context(n: int) -> Any:
    return np.random.default_rng(3).standard_normal((n, TOKENS, WIDTH)).astype(np.float32)


def theirs(folder: Path, tokens: Any, seeds: list[int], steps: int, guidance: float) -> Any:
    """`VersatileDiffusionImageVariationPipeline`, told what its encoder would have said."""
    from diffusers import (
        AutoencoderKL,
        UNet2DConditionModel,
        UniPCMultistepScheduler,
        VersatileDiffusionImageVariationPipeline,
    )

    pipeline = VersatileDiffusionImageVariationPipeline(
        image_feature_extractor=None,
        image_encoder=None,
        image_unet=UNet2DConditionModel.from_pretrained(folder / "image_unet"),
        vae=AutoencoderKL.from_pretrained(folder / "vae"),
        # As published: the sampler is exchanged, the noise schedule is the folder's.
        scheduler=UniPCMultistepScheduler.from_pretrained(
            folder / "scheduler", timestep_spacing="linspace"
        ),
    )
    pipeline.set_progress_bar_config(disable=True)
    given = torch.from_numpy(tokens)
    both = torch.cat([torch.zeros_like(given), given])
    pipeline._encode_prompt = lambda *_: both
    side = 2 * layouts.SIDE
    return pipeline(
        [torch.zeros(3, 8, 8)] * len(seeds),
        height=side,
        width=side,
        num_inference_steps=steps,
        guidance_scale=guidance,
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        output_type="np",
    ).images


def test_equals_the_image_variation_pipeline(folder: Path) -> None:
    decoder, tokens, seeds = load_decoder("versatile-diffusion", folder), context(2), [11, 12]
    assert decoder.defaults == Sampling(steps=20, guidance=3.5, strength=0.85)
    ours = decoder.generate(tokens, seeds, decoder.defaults, None)
    expected = theirs(folder, tokens, seeds, 20, 3.5)
    assert np.abs(ours - expected).max() < 1e-4
    assert np.abs(expected[0] - expected[1]).max() > 0.05


def test_time_steps_are_the_published_ones(folder: Path) -> None:
    """999, 949, ... 50; the img2img of the paper begins at 849 (notes on its published run)."""
    schedule = read_unipc(folder)
    schedule.set_timesteps(20)
    assert schedule.timesteps.tolist() == [*range(999, 499, -50), *range(500, 0, -50)]
    strength = DECODERS["versatile-diffusion"].defaults.strength
    assert schedule.timesteps[20 - int(20 * strength)] == 849


def test_the_published_start_is_a_switch(folder: Path) -> None:
    """Starts of both kinds against a loop written here."""
    latents = np.random.default_rng(4).standard_normal((1, 4, layouts.SIDE, layouts.SIDE))
    latents, tokens = latents.astype(np.float32), context(1)
    settings = Sampling(steps=4, guidance=1.0, strength=0.5)
    for name, quirk in (("versatile-diffusion", False), ("versatile-diffusion-published", True)):
        drawn = load_decoder(name, folder).generate(tokens, [8], settings, latents)
        expected = img2img(folder, tokens, latents, seed=8, quirk=quirk)
        np.testing.assert_allclose(drawn, expected, atol=2e-5)


@torch.no_grad()
def img2img(folder: Path, tokens: Any, latent: Any, *, seed: int, quirk: bool) -> Any:
    from diffusers import AutoencoderKL, UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(folder / "image_unet").eval()
    vae = AutoencoderKL.from_pretrained(folder / "vae").eval()
    schedule, generator = read_unipc(folder), torch.Generator().manual_seed(seed)
    start = torch.from_numpy(latent)
    if quirk:
        picture = vae.decode(start / 0.18215).sample / 2 + 0.5
        mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).reshape(3, 1, 1)
        deviation = torch.tensor([0.26862954, 0.26130258, 0.27577711]).reshape(3, 1, 1)
        posterior = vae.encode((picture - mean) / deviation).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=generator)
        start = (posterior.mean + posterior.std * noise) * 0.18215
    schedule.set_timesteps(4)
    schedule.set_begin_index(2)
    times = schedule.timesteps[2:]
    x = schedule.add_noise(start, torch.randn(start.shape, generator=generator), times[:1])
    for t in times:
        x = schedule.step(unet(x, t, torch.from_numpy(tokens)).sample, t, x).prev_sample
    picture = vae.decode(x / 0.18215).sample / 2 + 0.5
    return picture.clamp(0, 1).permute(0, 2, 3, 1).numpy()
