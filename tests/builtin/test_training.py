"""Each model's training at tiny size: it runs, learns, and what it exports is what was trained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel

from mindeye_cli.builtin.clip import train_clip
from mindeye_cli.builtin.conditions import load_conditions
from mindeye_cli.builtin.generator import (
    ARCHITECTURE,
    TOKEN_SCALE,
    take_in_scale,
    train_generator,
)
from mindeye_cli.builtin.loop import LoopConfig
from mindeye_cli.builtin.pool import Pool, load_pool
from mindeye_cli.builtin.publish import publish_clip, publish_generator, publish_vae
from mindeye_cli.builtin.quality import ceiling
from mindeye_cli.builtin.vae import PatchPca, to_signed, train_vae
from mindeye_cli.models.decoders.base import Sampling
from mindeye_cli.models.decoders.stable_diffusion import StableDiffusionDecoder
from mindeye_cli.models.scene.clip import load_scene_clip
from mindeye_cli.models.scene.files import weights_folder
from mindeye_cli.models.scene.net import load_scene_net
from mindeye_cli.models.scene.vae import load_scene_vae


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return load_pool(tmp_path_factory.mktemp("pool"), "train", 24)


def _config(steps: int, batch: int = 4, ema: float = 0.0) -> LoopConfig:
    return LoopConfig(
        steps=steps, batch=batch, lr=1e-3, seed=5, warmup=2, log_every=steps // 2, ema=ema
    )


def _losses(folder: Path, name: str = "loss") -> list[float]:
    return [json.loads(line)[name] for line in (folder / "log.jsonl").read_text().splitlines()]


def test_patch_coefficients_are_white_and_decode_best() -> None:
    generator = np.random.default_rng(0)
    flat = generator.integers(0, 255, (40, 16, 16, 3)).astype(np.uint8)
    pixels = flat.repeat(4, 1).repeat(4, 2)  # patches of one colour: three directions suffice
    pca = PatchPca(_Pixels(pixels))
    rows = pca(to_signed(pixels)).permute(0, 2, 3, 1).reshape(-1, 4)[:, :3]
    assert torch.allclose(torch.cov(rows.T), torch.eye(3), atol=0.02)
    assert rows.mean(0).abs().max() < 0.01


class _Pixels:
    """The one field of a pool that the patch coefficients read."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels


def test_vae_learns_and_is_exported_with_its_scale(pool: Pool, tmp_path: Path) -> None:
    vae, loop = train_vae(pool, _config(8, batch=2), tmp_path / "vae")
    losses = _losses(tmp_path / "vae")
    assert losses[1] < losses[0]
    publish_vae(vae, loop, pool, pool, tmp_path)
    shipped = load_scene_vae(tmp_path / "scene-generator" / "vae")
    with torch.no_grad():
        latents = shipped.encode(to_signed(pool.pixels)).latent_dist.mode()
    scaled = latents * shipped.config.scaling_factor
    assert scaled.square().mean().sqrt().item() == pytest.approx(1, abs=0.02)
    for name, tensor in vae.state_dict().items():
        assert torch.equal(shipped.state_dict()[name], tensor.half().float())


def test_encoder_learns_and_is_exported_without_its_heads(pool: Pool, tmp_path: Path) -> None:
    model, loop = train_clip(pool, pool, _config(8), tmp_path / "clip")
    losses = _losses(tmp_path / "clip")
    assert losses[1] < losses[0]
    publish_clip(model, loop, pool, pool, tmp_path)
    shipped = load_scene_clip(tmp_path / "scene-clip")
    assert not any("readouts" in name for name in shipped.state_dict())
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours, theirs = model.encoder.embed(pixels)[1], shipped.embed(pixels)[1]
    assert torch.allclose(ours, theirs, atol=0.02)


def test_generator_is_exported_as_a_pipeline(pool: Pool, tmp_path: Path) -> None:
    vae, clip = load_scene_vae(), load_scene_clip()
    data = load_conditions(tmp_path / "conditions", pool.pixels, clip, vae)
    assert np.linalg.norm(data.tokens[:, 0].astype(float), axis=1) == pytest.approx(1, abs=1e-2)
    assert np.array_equal(
        load_conditions(tmp_path / "conditions", pool.pixels, clip, vae).tokens, data.tokens
    )
    unet, loop = train_generator(data, _config(6, ema=0.9), tmp_path / "generator")
    shipped_vae = weights_folder("scene-generator") / "vae"
    publish_generator(unet, loop, pool, pool, shipped_vae, tmp_path, scenes=2)
    sampling = Sampling(steps=2, guidance=2.0, strength=1.0)
    decoder = StableDiffusionDecoder(
        name="scene",
        folder=tmp_path / "scene-generator",
        space="scene-clip:tokens",
        latent_space="scene-vae",
        tokens=17,
        defaults=sampling,
    )
    values, pixels = ceiling(decoder, clip, load_scene_net(), pool, range(3), sampling, 1)
    assert pixels.shape == (3, 64, 64, 3)
    assert all(-1 <= value <= 1 for value in values.values())


def test_the_scale_of_tokens_moves_into_the_network() -> None:
    torch.manual_seed(0)
    unet = UNet2DConditionModel(**ARCHITECTURE).eval()
    generator = torch.Generator().manual_seed(1)
    noisy = torch.randn(2, 4, 16, 16, generator=generator)
    tokens = torch.randn(2, 17, 128, generator=generator) / TOKEN_SCALE
    times = torch.tensor([10, 900])
    with torch.no_grad():
        before = unet(noisy, times, tokens * TOKEN_SCALE).sample
        null = unet(noisy, times, torch.zeros_like(tokens)).sample
        take_in_scale(unet)
        assert torch.allclose(unet(noisy, times, tokens).sample, before, atol=1e-4)
        assert torch.equal(unet(noisy, times, torch.zeros_like(tokens)).sample, null)
    assert not torch.allclose(before, null, atol=1e-4)
