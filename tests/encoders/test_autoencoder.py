"""`sd-vae` with a tiny VAE in diffusers' layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from mindeye_cli.models.encoders import load_encoder
from mindeye_store import InvalidInput, MissingResource, UsageProblem


def tiny_vae(channels: int = 4) -> AutoencoderKL:
    torch.manual_seed(0)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(4, 4, 4, 4),
        norm_num_groups=2,
        layers_per_block=1,
        latent_channels=channels,
        scaling_factor=0.3,
        mid_block_add_attention=False,
    ).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sd")
    tiny_vae().save_pretrained(folder / "vae")
    return folder


def test_posterior_mode_times_scaling_at_512(folder: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
    encoder = load_encoder("sd-vae", folder)
    with torch.no_grad():
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
        large = torch.nn.functional.interpolate(pixels, size=(512, 512), mode="bilinear")
        expected = tiny_vae().encode(large / 127.5 - 1).latent_dist.mean * 0.3
    rows = encoder.encode(images)
    assert encoder.shape == rows.shape[1:] == (4, 64, 64)
    np.testing.assert_allclose(rows, expected.numpy(), atol=1e-5)
    inner = load_encoder("sd-vae", folder / "vae")
    assert inner.fingerprint == encoder.fingerprint


def test_another_side_gives_another_latent(folder: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    encoder = load_encoder("sd-vae:224", folder)
    with torch.no_grad():
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
        expected = tiny_vae().encode(pixels / 127.5 - 1).latent_dist.mean * 0.3
    assert encoder.shape == (4, 28, 28)
    np.testing.assert_allclose(encoder.encode(images), expected.numpy(), atol=1e-5)
    for name in ("sd-vae:100", "sd-vae:tokens"):
        with pytest.raises(UsageProblem, match="multiple of 8"):
            load_encoder(name, folder)


def test_folders_that_hold_no_such_vae(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match=r"config\.json"):
        load_encoder("sd-vae", tmp_path)
    tiny_vae(3).save_pretrained(tmp_path / "three")
    with pytest.raises(InvalidInput, match="3 latent channels"):
        load_encoder("sd-vae", tmp_path / "three")
    tiny_vae().save_pretrained(tmp_path / "cut")
    weights = tmp_path / "cut/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InvalidInput, match="cannot be loaded"):
        load_encoder("sd-vae", tmp_path / "cut")


def test_a_download_is_not_tried_offline() -> None:
    with pytest.raises(MissingResource, match=r"sd-image-variations-diffusers \(335 MB\)"):
        load_encoder("sd-vae")
