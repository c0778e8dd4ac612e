"""The shipped weights: complete, small, strictly loaded, and as good as demanded."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mindeye_cli.builtin import quality
from mindeye_cli.builtin.pool import Pool, load_pool
from mindeye_cli.core.scenes import builtin_seed, near_duplicates, render, sample_scene
from mindeye_cli.models.scene.clip import load_scene_clip
from mindeye_cli.models.scene.files import weights_folder
from mindeye_cli.models.scene.net import load_scene_net
from mindeye_cli.models.scene.vae import load_scene_vae
from mindeye_store.errors import MissingResource

ROOT = weights_folder("scene-clip").parent


@pytest.fixture(scope="module")
def heldout(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return load_pool(tmp_path_factory.mktemp("pool"), "heldout", 400)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return load_pool(tmp_path_factory.mktemp("pool"), "train", 1500)


def test_all_files_together_are_small_and_have_cards() -> None:
    files = [path for path in ROOT.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 16 * 10**6
    assert max(path.stat().st_size for path in files) <= 4 * 2**20
    for name in ("scene-clip", "scene-net", "scene-generator", "scene-generator/vae"):
        text = (ROOT / name / "README.md").read_text()
        for word in ("data", "losses", "seed", "steps", "python -m mindeye_cli.builtin"):
            assert word in text
    for path in files:
        if path.suffix == ".safetensors":
            kinds = {tensor.dtype for tensor in load_file(path).values()}
            assert kinds <= {torch.float16, torch.int64}


def test_weights_are_loaded_as_float32_and_frozen() -> None:
    for model in (load_scene_clip(), load_scene_net(), load_scene_vae()):
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        assert not model.training and not any(p.requires_grad for p in model.parameters())


def test_an_incomplete_file_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "scene-net"
    shutil.copytree(weights_folder("scene-net"), folder)
    state = load_file(folder / "model.safetensors")
    state.pop("penultimate.bias")
    save_file(state, str(folder / "model.safetensors"))
    with pytest.raises(RuntimeError, match=r"penultimate\.bias"):
        load_scene_net(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(MissingResource, match="missing"):
        load_scene_net(folder)
    with pytest.raises(MissingResource, match="scene-ear"):
        weights_folder("scene-ear")


def test_encoder_is_broad_and_reads_categories(trained: Pool, heldout: Pool) -> None:
    numbers = quality.encoder_quality(load_scene_clip(), trained, heldout)
    assert numbers["participation ratio"] >= 20
    assert numbers["main category probe AUC"] >= 0.95
    # Small side objects included; this probe sees 1,500 scenes, the card's 4,096.
    assert numbers["category probe AUC"] >= 0.88


def test_judge_reads_the_main_object(heldout: Pool) -> None:
    numbers = quality.judge_quality(load_scene_net(), heldout)
    assert numbers["category accuracy"] >= 0.9
    assert numbers["colour accuracy"] >= 0.9
    assert numbers["place error"] <= 0.05


def test_vae_round_trip_and_scale(heldout: Pool) -> None:
    vae = load_scene_vae()
    assert quality.vae_quality(vae, heldout, rows=100)["PSNR dB"] >= 29
    signed = torch.from_numpy(np.array(heldout.pixels[:64])).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        latents = vae.encode(signed).latent_dist.mode() * vae.config.scaling_factor
    assert latents.shape == (64, 4, 16, 16)
    assert latents.square().mean().sqrt().item() == pytest.approx(1, abs=0.1)
    assert latents.mean((0, 2, 3)).abs().max().item() < 0.5


def test_encoder_matches_captions_and_tells_near_duplicates_apart(heldout: Pool) -> None:
    clip = load_scene_clip()
    pixels = torch.from_numpy(np.array(heldout.pixels[:100])).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        pooled, tokens = clip.embed(pixels)
        text = clip.embed_text([heldout.scene(row).caption() for row in range(100)])
    assert pooled.shape == (100, 128) and tokens.shape == (100, 17, 128)
    assert torch.equal(tokens[:, 0], pooled)
    table = torch.nn.functional.normalize(pooled) @ torch.nn.functional.normalize(text).T
    assert (table.argmax(1) == torch.arange(100)).float().mean() >= 0.8
    scene = sample_scene(builtin_seed("heldout", 5))
    twins = np.stack([render(s) for s in (scene, *near_duplicates(scene, 5, seed=0))])
    with torch.no_grad():
        embedded = clip.embed(torch.from_numpy(twins).permute(0, 3, 1, 2).float() / 255)[1]
    spread = torch.pdist(embedded.flatten(1)).min() / embedded.flatten(1).norm(dim=1).mean()
    assert spread > 0.05


def test_tokenizer_refuses_what_it_cannot_say() -> None:
    tokenizer = load_scene_clip().tokenizer
    ids = tokenizer(["a large red plain face"])
    assert ids.shape == (1, 32) and ids.max() == tokenizer.end
    assert ids.argmax(1).item() == 6
    with pytest.raises(ValueError, match="zebra"):
        tokenizer(["a zebra"])
    with pytest.raises(ValueError, match="31 words"):
        tokenizer(["a " * 31])
