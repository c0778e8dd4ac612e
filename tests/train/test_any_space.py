"""Whatever the space, its targets are cached, trained on and retrieved with, by commands alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mindeye_store import open_store

TINY = (
    "--preset=scene",
    "--set=model.hidden=128",
    "--set=model.projector_hidden=64",
    "--set=model.prior.depth=1",
    "--set=model.prior.heads=2",
    "--set=optim.epochs=16",
    "--set=optim.batch=64",
    "--set=data.validation=0",
)
RANDOM = "any-space-vit"
# Name, more options of `prepare targets`, shape of a row, norm.
SPACES: dict[str, tuple[tuple[str, ...], list[int], str]] = {
    "scene-clip:pooled": ((), [128], "unit"),
    "scene-clip:tokens": ((), [17, 128], "cls"),
    f"open_clip:{RANDOM}:random:pooled": (("--weights", "weights.safetensors"), [32], "raw"),
    f"open_clip:{RANDOM}:random:tokens": (("--weights", "weights.safetensors"), [17, 32], "cls"),
    "array:thumbnails": (("--from", "thumbnails.npy"), [16, 3], "raw"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any_space")


@pytest.fixture
def study(folder: Path, call_cli: Callable[..., Any]) -> Path:
    """A simulated subject in a store, made once; an encoder's weights and a user's rows beside."""
    store = folder / "store.zarr"
    if not store.exists():
        made = call_cli(
            *("simulate", folder / "raw", "--layout=arrays", "--images=300", "--test=40"),
            *("--voxels=400", "--repeats=2", "--snr=2", "--json"),
        )
        assert made.code == 0, made.stderr
        made = call_cli("prepare", "arrays", folder / "raw", store, "--subject=s1", "--json")
        assert made.code == 0, made.stderr
        np.save(folder / "thumbnails.npy", thumbnails(store))
        random_weights(folder)
    return store


def thumbnails(store: Path) -> np.ndarray:
    """Means of 4 x 4 cells of every picture as (16, 3) tokens: no encoder of ours."""
    images = open_store(store).images
    pixels = images.read(np.arange(images.n)) / np.float32(255)
    rows = np.array_split(pixels, 4, axis=1)
    cells = [cell.mean((1, 2)) for row in rows for cell in np.array_split(row, 4, axis=2)]
    return np.stack(cells, axis=1)


def random_weights(folder: Path) -> None:
    """A small open_clip ViT as torch draws it: features of a random network, on no data."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    vision = {"image_size": 64, "layers": 2, "width": 64, "head_width": 16, "patch_size": 16}
    text = {"context_length": 8, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1}
    config = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": text}
    (folder / f"{RANDOM}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder / f"{RANDOM}.json")
    torch.manual_seed(0)
    state = open_clip.create_model(RANDOM).visual.state_dict()
    save_file(
        {f"visual.{k}": v.contiguous() for k, v in state.items()}, folder / "weights.safetensors"
    )


@pytest.mark.parametrize("space", SPACES)
def test_a_space_trains_and_retrieves_above_chance(
    space: str, study: Path, folder: Path, tmp_path: Path, call_cli: Callable[..., Any]
) -> None:
    more, shape, norm = SPACES[space]
    more = tuple(str(folder / part) if "." in part else part for part in more)
    cached = call_cli("prepare", "targets", study, "--space", space, *more, "--json")
    assert cached.code == 0, cached.stderr
    assert (cached.json["shape"], cached.json["norm"]) == (shape, norm)
    assert cached.json["rows_done"] == cached.json["rows_total"] == 340
    run = tmp_path / "run"
    trained = call_cli(
        *("train", "high-level", study, run, "--subject=s1", "--space", space, *TINY, "--json")
    )
    assert trained.code == 0, trained.stderr
    scored = call_cli("retrieve", "pool", study, run, "--json")
    assert scored.code == 0, scored.stderr
    for direction in ("image_retrieval", "brain_retrieval"):
        scores = scored.json[direction]["scores"]
        top5, rank = scores["top5"], scores["mean_rank"]
        assert top5["chance"] == 5 / 40
        assert top5["ci95"][0] > top5["chance"], (direction, top5)
        assert top5["value"] > top5["permuted"]["range95"][1], (direction, top5)
        assert rank["ci95"][1] < rank["permuted"]["range95"][0], (direction, rank)


def test_views_are_trained_on(study: Path, tmp_path: Path, call_cli: Callable[..., Any]) -> None:
    run, space = tmp_path / "run", ("--space", "pixels:4")
    train = ("train", "high-level", study, run, "--subject=s1", *space, *TINY)
    views = ("--set=data.views=1", "--set=optim.epochs=1", "--json")
    assert call_cli("prepare", "targets", study, *space).code == 0
    refused = call_cli(*train, *views)
    assert refused.code == 4
    assert "prepare targets" in refused.stderr and "--space pixels:4 --views 1" in refused.stderr
    more = call_cli(*train, "--set=data.views=2")
    assert "--space pixels:4 --views 2" in more.stderr
    assert call_cli("prepare", "targets", study, *space, "--views=1").code == 0
    trained = call_cli(*train, *views)
    assert trained.code == 0, trained.stderr


@pytest.mark.parametrize(
    ("space", "command"),
    [
        ("clip-vit-l14:tokens", "--space clip-vit-l14:tokens"),
        ("open_clip:ViT-B-32:openai:pooled", "--space open_clip:ViT-B-32:openai:pooled"),
        ("array:none", "--space array:none --from FILE.npy"),
        ("pixels:8@view3", "--space pixels:8 --views 3"),
    ],
)
def test_an_absent_space_names_the_command_that_makes_it(
    space: str, command: str, study: Path, tmp_path: Path, call_cli: Callable[..., Any]
) -> None:
    run = tmp_path / "run"
    for kind, more in (("high-level", ("--preset=scene",)), ("ridge", ())):
        refused = call_cli("train", kind, study, run, "--subject=s1", "--space", space, *more)
        assert refused.code == 4
        (line,) = refused.stderr.splitlines()
        assert line.endswith(f"mindeye prepare targets {study} {command}")
    assert not run.exists()
