"""`pixels:N` and the built-in encoders against direct computations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mindeye_cli.models.encoders import array_encoder, load_encoder, space_shape
from mindeye_cli.models.encoders.base import resize_crop
from mindeye_store import InvalidInput, MissingResource, UsageProblem


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)


def test_pixels_of_the_same_size_are_the_picture(pictures: np.ndarray) -> None:
    encoder = load_encoder("pixels:64")
    rows = encoder.encode(pictures)
    assert rows.dtype == np.float32
    assert encoder.shape == rows.shape[1:] == space_shape("pixels:64")
    np.testing.assert_allclose(rows, pictures.reshape(3, -1) / 255, atol=1e-7)


def test_pixels_are_averaged_down(pictures: np.ndarray) -> None:
    blocks = np.repeat(np.repeat(pictures[:, ::8, ::8], 8, axis=1), 8, axis=2)
    rows = load_encoder("pixels:4").encode(blocks).reshape(3, 4, 4, 3)
    flat = np.full((1, 64, 64, 3), 51, np.uint8)
    np.testing.assert_allclose(load_encoder("pixels:7").encode(flat), 0.2, atol=1e-6)
    assert abs(rows.mean() - blocks.mean() / 255) < 0.02


@pytest.mark.parametrize("space", ["pixels:0", "pixels:x", "pixels:1000", "pixels:"])
def test_sides_that_are_none(space: str) -> None:
    with pytest.raises(UsageProblem, match="pixels:N"):
        load_encoder(space)


def test_unknown_spaces() -> None:
    for space in ("scene-clip", "scene-clip:patches", "vae", "array:mine"):
        with pytest.raises(UsageProblem, match="no encoder"):
            load_encoder(space)
    assert space_shape("clip-vit-l14:tokens") == (257, 768)
    assert space_shape("sd-vae") == (4, 64, 64)
    assert space_shape("vicregl-convnext-xl:maps") == (256, 512)
    assert space_shape("array:mine") is None


def test_an_array_space_cannot_encode(pictures: np.ndarray) -> None:
    encoder = array_encoder("array:mine", (3,), "float32", "0" * 64)
    with pytest.raises(InvalidInput, match="cannot encode"):
        encoder.encode(pictures)


def test_resize_keeps_the_middle_of_a_wide_picture() -> None:
    wide = torch.zeros(1, 3, 8, 24)
    wide[..., 8:16] = 1
    assert torch.equal(resize_crop(wide, 8), torch.ones(1, 3, 8, 8))
    tall = torch.rand(2, 3, 30, 20)
    expected = torch.nn.functional.interpolate(tall, size=(15, 10), mode="bicubic")
    assert torch.equal(resize_crop(tall, 10), expected[:, :, 2:12])


def shipped(name: str) -> Path:
    import mindeye_cli

    folder = Path(mindeye_cli.__file__).parent / "weights" / name
    if not any(folder.rglob("*.safetensors")):
        pytest.skip(f"the weights of {name} are not in this tree")
    return folder


def test_scene_clip_tokens_and_pooled(pictures: np.ndarray) -> None:
    shipped("scene-clip")
    from mindeye_cli.models.scene.clip import load_scene_clip

    tokens, pooled = load_encoder("scene-clip:tokens"), load_encoder("scene-clip:pooled")
    with torch.no_grad():
        raw_pooled, raw_tokens = load_scene_clip().embed(
            torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255
        )
    rows = tokens.encode(pictures)
    assert rows.shape == (3, 17, 128) == (3, *tokens.shape)
    length = raw_tokens[:, :1].norm(dim=-1, keepdim=True)
    np.testing.assert_allclose(rows, (raw_tokens / length).numpy(), atol=1e-5)
    flat = raw_pooled / raw_pooled.norm(dim=1, keepdim=True)
    np.testing.assert_allclose(pooled.encode(pictures), flat.numpy(), atol=1e-5)
    assert (tokens.norm, pooled.norm) == ("cls", "unit")
    assert tokens.fingerprint != pooled.fingerprint
    assert tokens.fingerprint == load_encoder("scene-clip:tokens").fingerprint


def test_scene_vae_is_the_scaled_posterior_mode(pictures: np.ndarray) -> None:
    shipped("scene-generator")
    from mindeye_cli.models.scene.vae import load_scene_vae

    encoder, vae = load_encoder("scene-vae"), load_scene_vae()
    with torch.no_grad():
        inside = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 127.5 - 1
        mean = vae.encode(inside).latent_dist.mean * vae.config.scaling_factor
    np.testing.assert_allclose(encoder.encode(pictures), mean.numpy(), atol=1e-4)
    assert (encoder.norm, encoder.shape) == ("raw", (4, 16, 16))


@pytest.mark.parametrize("space", ["scene-clip:tokens", "scene-vae"])
def test_scene_weights_elsewhere(space: str, tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match=r"config\.json"):
        load_encoder(space, tmp_path / "none")
