"""open_clip spaces, with transformers' CLIP as the oracle for MindEye's tokens."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mindeye_cli.models.encoders import load_encoder
from mindeye_cli.models.encoders.clip import parse_clip
from mindeye_store import InvalidInput, MissingResource, UsageProblem

SIDE, PATCH, WIDTH, LAYERS, OUT = 56, 14, 32, 3, 24
NAME = "tiny-test-quickgelu"
MEAN = np.array([0.48145466, 0.4578275, 0.40821073])
STD = np.array([0.26862954, 0.26130258, 0.27577711])


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """transformers' vision model, and its weights as an open_clip checkpoint."""
    import open_clip
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    folder = tmp_path_factory.mktemp("clip")
    config = {
        "embed_dim": OUT,
        "quick_gelu": True,
        "vision_cfg": {
            "image_size": SIDE,
            "layers": LAYERS,
            "width": WIDTH,
            "head_width": 16,
            "patch_size": PATCH,
        },
        "text_cfg": {
            "context_length": 8,
            "vocab_size": 50,
            "width": 16,
            "heads": 2,
            "layers": 1,
        },
    }
    (folder / f"{NAME}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder / f"{NAME}.json")
    torch.manual_seed(0)
    theirs = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            projection_dim=OUT,
            num_hidden_layers=LAYERS,
            num_attention_heads=2,
            image_size=SIDE,
            patch_size=PATCH,
            hidden_act="quick_gelu",
        )
    ).eval()
    for parameter in theirs.parameters():
        parameter.data.normal_(0, 0.2)
    ours = open_clip.create_model(NAME)
    state = ours.state_dict() | {f"visual.{k}": v for k, v in converted(theirs).items()}
    save_file({k: v.contiguous().clone() for k, v in state.items()}, folder / "tiny.safetensors")
    return theirs, folder / "tiny.safetensors"


def converted(model: Any) -> dict[str, torch.Tensor]:
    """transformers' names -> open_clip's."""
    state = {re.sub(r"^vision_model\.", "", k): v for k, v in model.state_dict().items()}
    result = {
        "class_embedding": state["embeddings.class_embedding"],
        "positional_embedding": state["embeddings.position_embedding.weight"],
        "conv1.weight": state["embeddings.patch_embedding.weight"],
        "proj": state["visual_projection.weight"].T,
    }
    for kind in ("weight", "bias"):
        result[f"ln_pre.{kind}"] = state[f"pre_layrnorm.{kind}"]
        result[f"ln_post.{kind}"] = state[f"post_layernorm.{kind}"]
        for layer in range(LAYERS):
            old, new = f"encoder.layers.{layer}", f"transformer.resblocks.{layer}"
            qkv = [state[f"{old}.self_attn.{name}_proj.{kind}"] for name in "qkv"]
            result[f"{new}.attn.in_proj_{kind}"] = torch.cat(qkv)
            result[f"{new}.attn.out_proj.{kind}"] = state[f"{old}.self_attn.out_proj.{kind}"]
            for theirs, ours in (
                ("layer_norm1", "ln_1"),
                ("layer_norm2", "ln_2"),
                ("mlp.fc1", "mlp.c_fc"),
                ("mlp.fc2", "mlp.c_proj"),
            ):
                result[f"{new}.{ours}.{kind}"] = state[f"{old}.{theirs}.{kind}"]
    return result


def expected_rows(model: Any, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The published recipe: layer norm and projection of every token, over the first's norm.

    Beside it the pooled embedding as the model gives it. Pictures are resized by torchvision, as
    the released code did on tensors, where they are not of the model's size.
    """
    from torchvision.transforms import InterpolationMode, functional

    pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    if images.shape[1:3] != (SIDE, SIDE):
        pixels = functional.resize(
            pixels, [SIDE], interpolation=InterpolationMode.BICUBIC, antialias=False
        )
        pixels = functional.center_crop(pixels, [SIDE, SIDE])
    pixels = functional.normalize(pixels, list(MEAN), list(STD))
    with torch.no_grad():
        hidden = model.vision_model(pixels).last_hidden_state
        tokens = model.visual_projection(model.vision_model.post_layernorm(hidden))
        pooled = model(pixels).image_embeds
    return (tokens / tokens[:, 0].norm(dim=1)[:, None, None]).numpy(), pooled.numpy()


@pytest.mark.parametrize(
    "size",
    [(SIDE, SIDE), (100, 100), (20, 20), (90, 131), (200, 61), (SIDE, 71)],
    ids=lambda size: f"{size[0]}x{size[1]}",
)
def test_rows_equal_those_of_transformers(tiny: tuple[Any, Path], size: tuple[int, int]) -> None:
    model, weights = tiny
    images = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    tokens, pooled = expected_rows(model, images)
    ours = load_encoder(f"open_clip:{NAME}:mine:tokens", weights)
    assert (ours.shape, ours.norm, ours.dtype) == ((17, OUT), "cls", "float16")
    np.testing.assert_allclose(ours.encode(images), tokens, atol=2e-5)
    np.testing.assert_allclose(np.linalg.norm(ours.encode(images)[:, 0], axis=1), 1, rtol=1e-5)
    ours = load_encoder(f"open_clip:{NAME}:mine", weights)
    assert (ours.shape, ours.norm, ours.dtype) == ((OUT,), "raw", "float32")
    np.testing.assert_allclose(ours.encode(images), pooled, atol=2e-5)
    assert not np.allclose(np.linalg.norm(pooled, axis=1), 1, rtol=0.1)


def test_pictures_in_floats_are_taken_as_they_are(tiny: tuple[Any, Path]) -> None:
    encoder = load_encoder(f"open_clip:{NAME}:mine", tiny[1])
    images = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8)
    assert np.array_equal(encoder.encode(images), encoder.encode(np.float32(images) / 255))


def test_fingerprints_follow_the_weights(tiny: tuple[Any, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    space = f"open_clip:{NAME}:mine:pooled"
    state = load_file(tiny[1])
    state["visual.proj"][0, 0] += 1
    save_file(state, tmp_path / "open_clip_model.safetensors")
    one = load_encoder(space, tiny[1]).fingerprint
    assert one == load_encoder(space, tiny[1]).fingerprint
    assert one != load_encoder(space, tmp_path).fingerprint


def test_names() -> None:
    assert parse_clip("clip-vit-l14").model == "ViT-L-14-quickgelu"
    assert parse_clip("clip-vit-l14:tokens").output == "tokens"
    named = parse_clip("open_clip:ViT-B-32:laion2b_s34b_b79k")
    assert (named.model, named.pretrained, named.output) == (
        "ViT-B-32",
        "laion2b_s34b_b79k",
        "pooled",
    )
    for space in ("open_clip:ViT-B-32", "clip-vit-l14:maps", "open_clip::x", "open_clip"):
        with pytest.raises(UsageProblem, match="is not"):
            parse_clip(space)


def test_models_weights_and_tags_that_are_not_there(tiny: tuple[Any, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="did you mean ViT-B-32"):
        load_encoder("open_clip:ViT-B32:openai")
    with pytest.raises(UsageProblem, match="tags are openai"):
        load_encoder("open_clip:ViT-B-32:nothing")
    with pytest.raises(MissingResource, match="weights are missing"):
        load_encoder("clip-vit-l14", tmp_path / "none.safetensors")
    with pytest.raises(MissingResource, match="no open_clip checkpoint"):
        load_encoder("clip-vit-l14", tmp_path)
    with pytest.raises(MissingResource, match=r"laion/CLIP-ViT-B-32.*--weights"):
        load_encoder("open_clip:ViT-B-32:laion2b_s34b_b79k")
    (tmp_path / "damaged.safetensors").write_bytes(b"text")
    with pytest.raises(InvalidInput, match="not safetensors"):
        load_encoder(f"open_clip:{NAME}:mine", tmp_path / "damaged.safetensors")
    save_file({"visual.proj": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(InvalidInput, match=f"not weights of {NAME}"):
        load_encoder(f"open_clip:{NAME}:mine", tmp_path / "other.safetensors")
