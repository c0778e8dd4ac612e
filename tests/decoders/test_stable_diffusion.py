"""The Stable Diffusion decoder against a plain denoising loop written here."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mindeye_cli.models.decoders import to_pixels
from mindeye_cli.models.decoders.base import Sampling
from mindeye_cli.models.decoders.latents import LatentDecoder
from mindeye_cli.models.decoders.stable_diffusion import StableDiffusionDecoder
from mindeye_store.errors import InvalidInput, MissingResource

TOKENS, WIDTH = 5, 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random generator in Stable Diffusion's layout."""
    from decoders.tiny import save_tiny_generator

    path = tmp_path_factory.mktemp("generator")
    save_tiny_generator(path, width=WIDTH)
    return path


@pytest.fixture(scope="module")
def decoder(folder: Path) -> StableDiffusionDecoder:
    return StableDiffusionDecoder(
        name="tiny",
        folder=folder,
        space="scene-clip:tokens",
        latent_space="scene-vae",
        tokens=TOKENS,
        defaults=Sampling(steps=4, guidance=2.0, strength=0.5),
    )


def inputs(n: int) -> tuple[Any, Any]:
    draw = np.random.default_rng(0)
    tokens = draw.standard_normal((n, TOKENS, WIDTH)).astype(np.float32)
    return tokens, draw.standard_normal((n, 4, 8, 8)).astype(np.float32)


def plain_loop(folder: Path, tokens: Any, seed: int, sampling: Sampling, latent: Any) -> Any:
    """Guided UniPC sampling from noise, or from a noised latent, as the paper describes it."""
    from diffusers import AutoencoderKL, UNet2DConditionModel, UniPCMultistepScheduler

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        unet = UNet2DConditionModel.from_pretrained(folder / "unet").eval()
        vae = AutoencoderKL.from_pretrained(folder / "vae").eval()
        scheduler = UniPCMultistepScheduler.from_pretrained(folder / "scheduler")
        scheduler.set_timesteps(sampling.steps)
        noise = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(seed))
        times = scheduler.timesteps
        x = noise
        if latent is not None and sampling.strength < 1:
            times = times[sampling.steps - int(sampling.steps * sampling.strength) :]
            scheduler.set_begin_index(sampling.steps - len(times))
            x = scheduler.add_noise(torch.from_numpy(latent), noise, times[:1])
        condition = torch.from_numpy(tokens)
        for t in times:
            empty = unet(x, t, torch.zeros_like(condition)).sample
            told = unet(x, t, condition).sample
            guided = empty + sampling.guidance * (told - empty)
            x = scheduler.step(guided, t, x).prev_sample
        picture = vae.decode(x / vae.config.scaling_factor).sample / 2 + 0.5
    return picture.clamp(0, 1).permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_equals_a_plain_guided_loop(
    folder: Path, decoder: StableDiffusionDecoder, strength: float
) -> None:
    tokens, latents = inputs(2)
    sampling = Sampling(steps=4, guidance=2.5, strength=strength)
    drawn = decoder.generate(tokens, [11, 12], sampling, latents)
    for row, seed in enumerate((11, 12)):
        one = slice(row, row + 1)
        expected = plain_loop(folder, tokens[one], seed, sampling, latents[one])
        np.testing.assert_allclose(drawn[one], expected, atol=2e-5)


def test_strength_0_is_the_latent_itself(folder: Path, decoder: StableDiffusionDecoder) -> None:
    tokens, latents = inputs(2)
    sampling = Sampling(steps=4, guidance=2.0, strength=0.0)
    drawn = decoder.generate(tokens, [1, 2], sampling, latents)
    np.testing.assert_array_equal(drawn, decoder.decode_latents(latents))
    alone = LatentDecoder("scene-vae", folder / "vae").decode(latents)
    np.testing.assert_allclose(drawn, alone, atol=1e-6)


def test_strength_1_forgets_the_latent(decoder: StableDiffusionDecoder) -> None:
    tokens, latents = inputs(2)
    sampling = Sampling(steps=3, guidance=2.0, strength=1.0)
    with_latent = decoder.generate(tokens, [1, 2], sampling, latents)
    np.testing.assert_array_equal(with_latent, decoder.generate(tokens, [1, 2], sampling, None))


def test_a_picture_does_not_depend_on_its_batch(decoder: StableDiffusionDecoder) -> None:
    tokens, latents = inputs(3)
    sampling = Sampling(steps=3, guidance=2.0, strength=0.7)
    together = decoder.generate(tokens, [5, 6, 7], sampling, latents)
    alone = decoder.generate(tokens[1:2], [6], sampling, latents[1:2])
    np.testing.assert_allclose(together[1:2], alone, atol=1e-5)


def test_wrong_shapes_name_the_space(decoder: StableDiffusionDecoder) -> None:
    tokens, latents = inputs(1)
    sampling = Sampling(steps=2, guidance=2.0, strength=0.5)
    with pytest.raises(InvalidInput, match="scene-clip:tokens"):
        decoder.generate(tokens[:, :4], [0], sampling, None)
    with pytest.raises(InvalidInput, match="latents of shape"):
        decoder.generate(tokens, [0], sampling, latents[:, :, :4])


def test_absent_weights(tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match="model_index.json"):
        StableDiffusionDecoder(
            name="tiny",
            folder=tmp_path,
            space="a",
            latent_space="b",
            tokens=1,
            defaults=Sampling(steps=1, guidance=1.0, strength=1.0),
        )
    with pytest.raises(MissingResource, match="no VAE is known"):
        LatentDecoder("pixels:8")


def test_to_pixels_rounds_and_clips() -> None:
    values = np.array([-0.1, 0.0, 0.5 / 255 + 1e-4, 1.0, 1.2], dtype=np.float32)
    assert to_pixels(values).tolist() == [0, 0, 1, 255, 255]
