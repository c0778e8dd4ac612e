"""Text towers of pooled CLIP spaces, with open_clip's own encoding as the oracle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mindeye_cli.models.encoders.text import has_text, load_text_tower, scene_captions
from mindeye_cli.models.scene.clip import load_scene_clip
from mindeye_store import InvalidInput, MissingResource, UsageProblem

NAME = "tiny-text-test"
SPACE = f"open_clip:{NAME}:own"
CONFIG = {
    "embed_dim": 12,
    "vision_cfg": {"image_size": 28, "layers": 1, "width": 16, "head_width": 8, "patch_size": 14},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import open_clip

    folder = tmp_path_factory.mktemp("text")
    (folder / f"{NAME}.json").write_text(json.dumps(CONFIG))
    open_clip.add_model_config(folder / f"{NAME}.json")
    torch.manual_seed(0)
    state = open_clip.create_model(NAME).state_dict()
    save_file({k: v.contiguous().clone() for k, v in state.items()}, folder / "tiny.safetensors")
    return folder / "tiny.safetensors"


def test_text_is_that_of_open_clip_and_words_are_means_of_captions(weights: Path) -> None:
    import open_clip
    from safetensors.torch import load_file

    tower = load_text_tower(SPACE, weights, ("cat", "dog"))
    model = open_clip.create_model(NAME).eval()
    model.load_state_dict(load_file(weights))

    def theirs(*texts: str) -> np.ndarray:
        with torch.inference_mode():
            rows = model.encode_text(open_clip.get_tokenizer(NAME)(list(texts))).numpy()
        mean = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).mean(axis=0)
        return mean / np.linalg.norm(mean)

    free, word = tower.embed(["two cats on a sofa", "cat"])
    np.testing.assert_allclose(free, theirs("two cats on a sofa"), atol=1e-5)
    captions = ("a photo of a cat", "a picture of the cat", "cat")
    np.testing.assert_allclose(word, theirs(*captions), atol=1e-5)
    assert len(set(load_text_tower(SPACE, weights).words)) > 150


def test_scene_words_are_in_captions_that_the_encoder_knows() -> None:
    tower, model = load_text_tower("scene-clip:pooled"), load_scene_clip()
    assert all(len(model.tokenizer(scene_captions(word))) >= 3 for word in tower.words)
    assert all(word in caption for word in tower.words for caption in scene_captions(word))
    with torch.inference_mode():
        own = model.embed_text(["a red face"])[0].numpy()
    np.testing.assert_allclose(tower.embed(["a red face"])[0], own / np.linalg.norm(own), atol=1e-5)


def test_refusals(weights: Path, tmp_path: Path) -> None:
    assert has_text("clip-vit-l14:pooled") and has_text("clip-vit-l14")
    assert not any(
        map(has_text, ("clip-vit-l14:tokens", "scene-clip:tokens", "pixels:8", "sd-vae"))
    )
    with pytest.raises(UsageProblem, match="has no text"):
        load_text_tower("scene-vae")
    with pytest.raises(UsageProblem, match="unicorn"):
        load_text_tower("scene-clip:pooled").embed(["unicorn"])
    with pytest.raises(MissingResource):
        load_text_tower("clip-vit-l14:pooled")
    save_file({"visual.x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InvalidInput, match="not weights of"):
        load_text_tower(SPACE, tmp_path / "other.safetensors")
