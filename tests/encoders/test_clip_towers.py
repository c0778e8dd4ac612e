"""open_clip's other image towers, with random weights given as a local file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mindeye_cli.models.encoders import load_encoder
from mindeye_store import InvalidInput, MissingResource, UsageProblem

SIDE = 32
OUT = 12
VIT = {"image_size": SIDE, "layers": 1, "width": 16, "head_width": 8, "patch_size": 16}
TOWERS: dict[str, dict[str, Any]] = {
    "tower-vit": VIT,
    "tower-convnext": {"image_size": SIDE, "timm_model_name": "convnext_atto", "timm_pool": ""},
    "tower-timm-vit": {
        "image_size": SIDE,
        "timm_model_name": "test_vit",
        "timm_pool": "token",
        "timm_proj": "linear",
    },
    "tower-resnet": {"image_size": SIDE, "layers": [1, 1, 1, 1], "width": 8, "head_width": 8},
    "tower-mean": {**VIT, "pool_type": "avg", "final_ln_after_pool": True},
    "tower-attention": {
        **VIT,
        "attentional_pool": True,
        "attn_pooler_heads": 2,
        "output_tokens": True,
    },
}
WITHOUT_TOKENS = [name for name in TOWERS if name != "tower-vit"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with random weights of every tower, as open_clip itself would save them."""
    import open_clip

    folder = tmp_path_factory.mktemp("towers")
    text = {"context_length": 8, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1}
    torch.manual_seed(0)
    for name, vision in TOWERS.items():
        config = {"embed_dim": OUT, "vision_cfg": vision, "text_cfg": text}
        (folder / f"{name}.json").write_text(json.dumps(config))
        open_clip.add_model_config(folder / f"{name}.json")
        state = open_clip.create_model(name).state_dict()
        save_file(
            {k: v.contiguous().clone() for k, v in state.items()}, folder / f"{name}.safetensors"
        )
    return folder


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", TOWERS)
def test_pooled_is_what_open_clip_gives(name: str, weights: Path, images: np.ndarray) -> None:
    import open_clip

    file = weights / f"{name}.safetensors"
    encoder = load_encoder(f"open_clip:{name}:random:pooled", file)
    assert (encoder.shape, encoder.norm) == ((OUT,), "raw")
    whole = open_clip.create_model(name, pretrained=str(file)).eval()
    mean, std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    pixels = torch.from_numpy(((images / 255 - mean) / std).astype(np.float32)).permute(0, 3, 1, 2)
    with torch.no_grad():
        found = whole.encode_image(pixels)
    expected = (found[0] if isinstance(found, tuple) else found).numpy()
    np.testing.assert_allclose(encoder.encode(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", WITHOUT_TOKENS)
def test_tokens_are_refused_where_no_class_token_is_projected(name: str, weights: Path) -> None:
    with pytest.raises(UsageProblem, match=f"use open_clip:{name}:random:pooled, or a plain ViT"):
        load_encoder(f"open_clip:{name}:random:tokens", weights / f"{name}.safetensors")


def test_a_torch_file_or_the_image_tower_alone_will_do(
    weights: Path, images: np.ndarray, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    space = "open_clip:tower-vit:random:tokens"
    expected = load_encoder(space, weights / "tower-vit.safetensors")
    state = load_file(weights / "tower-vit.safetensors")
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}},
        tmp_path / "whole.pt",
    )
    save_file(
        {key: value for key, value in state.items() if key.startswith("visual.")},
        tmp_path / "image.safetensors",
    )
    for file in ("whole.pt", "image.safetensors"):
        found = load_encoder(space, tmp_path / file)
        assert found.fingerprint == expected.fingerprint
        assert np.array_equal(found.encode(images), expected.encode(images))


def test_weights_that_do_not_fit_are_refused(weights: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    state = load_file(weights / "tower-vit.safetensors")
    # open_clip itself would interpolate the positions of another resolution and say nothing.
    finer = state | {"visual.positional_embedding": torch.zeros(17, 16)}
    lacking = {key: value for key, value in state.items() if key != "visual.proj"}
    more = state | {"visual.more": torch.zeros(1)}
    text = {key: value for key, value in state.items() if not key.startswith("visual.")}
    for name, wrong, says in (
        ("finer", finer, "size mismatch for positional_embedding"),
        ("lacking", lacking, "Missing key.*proj"),
        ("more", more, "Unexpected key.*more"),
        ("text", text, "no weights are named visual"),
    ):
        save_file(wrong, tmp_path / f"{name}.safetensors")
        with pytest.raises(InvalidInput, match=f"not weights of tower-vit: .*{says}") as caught:
            load_encoder("open_clip:tower-vit:random", tmp_path / f"{name}.safetensors")
        assert len(str(caught.value).splitlines()) == 1
    torch.save({"state_dict": {"visual.proj": Path("x")}}, tmp_path / "pickled.pt")
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    (tmp_path / "text.pt").write_text("text")
    (tmp_path / "text.safetensors").write_text("text")
    for name, says in (
        ("pickled.pt", "other objects than plain tensors"),
        ("list.pt", "no tensors by name"),
        ("text.pt", "not a torch checkpoint"),
        ("text.safetensors", "not safetensors"),
    ):
        with pytest.raises(InvalidInput, match=says):
            load_encoder("open_clip:tower-vit:random", tmp_path / name)


def test_the_published_fit_and_interpolation_are_kept(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tag that squashes both sides, bilinear: the corners of a wide picture come through."""
    import open_clip

    settings = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bilinear"}
    monkeypatch.setattr(
        open_clip, "get_pretrained_cfg", lambda *a: {**settings, "resize_mode": "squash"}
    )
    file = weights / "tower-vit.safetensors"
    encoder = load_encoder("open_clip:tower-vit:tag", file)
    wide = np.random.default_rng(1).integers(0, 256, (1, SIDE, 2 * SIDE, 3), dtype=np.uint8)
    # Bilinear at half the width without antialiasing: the mean of each pair of columns.
    narrow = (wide[:, :, ::2].astype(np.float32) + wide[:, :, 1::2]) / 2 / 255
    np.testing.assert_allclose(encoder.encode(wide), encoder.encode(narrow), atol=1e-4)
    assert "bilinear 32 no antialias, both sides" in encoder.description["transform"]
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda *a: {"resize_mode": "longest"})
    with pytest.raises(UsageProblem, match="fitted by 'longest'"):
        load_encoder("open_clip:tower-vit:tag", file)


def test_weights_come_from_the_cache_of_repositories(
    weights: Path, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants
    import open_clip

    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda *a: {"hf_hub": "some/tower/"})
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    space = "open_clip:tower-vit:published"
    with pytest.raises(MissingResource, match=r"weights of some/tower .*--weights PATH"):
        load_encoder(space)
    snapshot = tmp_path / "models--some--tower" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot.parent.parent / "refs").mkdir()
    (snapshot.parent.parent / "refs" / "main").write_text("abc")
    file = weights / "tower-vit.safetensors"
    (snapshot / "open_clip_model.safetensors").write_bytes(file.read_bytes())
    found, given = load_encoder(space), load_encoder(space, file)
    assert found.fingerprint == given.fingerprint
    assert np.array_equal(found.encode(images), given.encode(images))
