"""`mindeye reconstruct --decoder NAME` from end to end, for every name."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from decoders import layouts
from decoders.tiny import save_tiny_generator
from PIL import Image
from reconstruct.study import SMALL, build_store

from mindeye_cli.app import main
from mindeye_cli.models.decoders import DECODERS
from mindeye_cli.models.decoders.stable_diffusion import StableDiffusionDecoder
from mindeye_store import open_store

LATENTS = (4, 16, 16)
# What one embedding of the tiny generator is; the store has those of `scene` already.
SHAPES = {
    "versatile-diffusion": (257, 16),
    "versatile-diffusion-published": (257, 16),
    "sd-image-variations": (16,),
    "stable-unclip": (12,),
    "kandinsky-2.2": (12,),
    "ip-adapter": (12,),
}
SAVE = {**layouts.SAVE, "scene": partial(save_tiny_generator, width=128, latent_side=16)}
STARTED = [name for name in SAVE if DECODERS[name].latent_space is not None]
FEW = ("--candidates", "1", "--steps", "4", "--limit", "2", "--json")


@dataclass(frozen=True)
class Study:
    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "store.zarr"

    def high(self, name: str) -> list[Any]:
        return ["--high", self.folder / DECODERS[name].space]

    def low(self, name: str) -> list[Any]:
        space = DECODERS[name].latent_space
        return [] if space is None else ["--low", self.folder / space]

    def given(self, name: str) -> list[Any]:
        """Decoder, its weights and the high-level run."""
        return ["--decoder", name, "--weights", self.folder / name, *self.high(name)]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("study")
    store = open_store(build_store(folder / "store.zarr"))
    draw = np.random.default_rng(0)
    shapes = {"sd-vae": LATENTS} | {DECODERS[name].space: s for name, s in SHAPES.items()}
    for space, shape in shapes.items():
        rows = draw.standard_normal((store.images.n, *shape)).astype(np.float32)
        attrs = {"space": space, "norm": "raw", "fingerprint": space}
        plan = {"space": space}
        with store.write_bundle(f"targets/{space}/0000", plan=plan, attrs=attrs) as writer:
            writer.array("rows", shape=rows.shape, dtype=rows.dtype).write_all(rows)
            writer.publish()
        if space != "sd-vae":
            train(folder, "ridge", space)
    train(folder, "ridge", DECODERS["scene"].space)
    for space in ("sd-vae", "scene-vae"):
        train(folder, "low-level", space)
    for name, save in SAVE.items():
        save(folder / name)
    return Study(folder)


def train(folder: Path, kind: str, space: str) -> None:
    changes = [*SMALL.get(kind, ())]
    if kind == "low-level":
        changes += ["optim.epochs=1", "optim.batch=8"]
    settings = [word for change in changes for word in ("--set", change)]
    given = ["train", kind, str(folder / "store.zarr"), str(folder / space), "--subject", "s1"]
    preset = ["--preset", "scene"] if kind == "low-level" else []
    assert main([*given, "--space", space, *preset, *settings, "--quiet"]) == 0


@pytest.mark.parametrize("name", SAVE)
def test_pictures_by_every_generator(
    study: Study, tmp_path: Path, call_cli: Any, name: str
) -> None:
    low = study.low(name)
    result = call_cli("reconstruct", study.store, tmp_path / "out", *study.given(name), *low, *FEW)
    assert (result.code, result.json["n"], result.json["decoder"]) == (0, 2, name)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    default = 0.7 if name == "scene" else 0.85
    assert manifest["strength"] == (default if low else 1.0)
    with Image.open(tmp_path / "out" / manifest["images"][0]["file"]) as picture:
        assert picture.size == ((64, 64) if name == "scene" else (32, 32))
    assert (tmp_path / "out" / "blurry").exists() == bool(low)


@pytest.mark.parametrize("name", STARTED)
def test_the_ends_of_strength(study: Study, tmp_path: Path, call_cli: Any, name: str) -> None:
    def pictures(folder: str, *more: Any) -> dict[str, bytes]:
        given = (*study.given(name), *more, *FEW)
        assert call_cli("reconstruct", study.store, tmp_path / folder, *given).code == 0
        files = sorted((tmp_path / folder / "images").iterdir())
        return {file.name: file.read_bytes() for file in files}

    drawn = pictures("0", *study.low(name), "--strength", "0")
    assert drawn == {file.name: file.read_bytes() for file in (tmp_path / "0" / "blurry").iterdir()}
    noise = pictures("1", *study.low(name), "--strength", "1")
    assert noise == pictures("none") and noise != drawn


def test_other_spaces_are_refused_by_the_command_that_mends_it(
    study: Study, tmp_path: Path, call_cli: Any
) -> None:
    for name, option, run, words in (
        ("kandinsky-2.2", "--high", DECODERS["ip-adapter"].space, "--space open_clip:ViT-bigG-14"),
        ("scene", "--high", DECODERS["ip-adapter"].space, "--space scene-clip:tokens"),
        ("stable-unclip", "--low", "sd-vae", "leave --low out"),
        ("ip-adapter", "--low", "scene-vae", "train low-level STORE RUN --space sd-vae"),
    ):
        more = [option, study.folder / run]
        high = [] if option == "--high" else study.high(name)
        given = ("--decoder", name, *more, *high, "--json")
        result = call_cli("reconstruct", study.store, tmp_path / "out", *given)
        assert result.code == 3 and name in result.json["error"]["message"]
        assert words in result.json["error"]["fix"]
        assert not (tmp_path / "out").exists()


def test_weights_of_another_generator(study: Study, tmp_path: Path, call_cli: Any) -> None:
    given = ("--decoder", "sd-image-variations", *study.high("sd-image-variations"))
    for weights, words in (
        ("kandinsky-2.2", "addition_embed_type"),
        ("stable-unclip", "class_embed_type"),
    ):
        more = ("--weights", study.folder / weights, *FEW)
        result = call_cli("reconstruct", study.store, tmp_path / weights, *given, *more)
        assert result.code == 3 and words in str(result.json["error"])


def test_latents_of_another_size(study: Study, tmp_path: Path, call_cli: Any) -> None:
    weights = Path(shutil.copytree(study.folder / "sd-image-variations", tmp_path / "smaller"))
    file = weights / "unet" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "sample_size": 8}))
    given = ["--decoder", "sd-image-variations", "--weights", weights]
    given += [*study.high("sd-image-variations"), *study.low("sd-image-variations")]
    result = call_cli("reconstruct", study.store, tmp_path / "out", *given, *FEW)
    assert result.code == 3 and "(4, 8, 8)" in result.json["error"]["message"]
    assert "(4, 16, 16)" in result.json["error"]["message"]
    assert not list((tmp_path / "out").glob("images/*"))


def test_an_embedding_that_is_not_finite_costs_one_picture(
    study: Study, tmp_path: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = StableDiffusionDecoder.context

    def broken(self: Any, embeddings: Any, guidance: float) -> Any:
        embeddings = embeddings.clone()
        embeddings[0] = torch.nan
        return plain(self, embeddings, guidance)

    monkeypatch.setattr(StableDiffusionDecoder, "context", broken)
    given = [*study.given("versatile-diffusion"), *study.low("versatile-diffusion"), *FEW]
    result = call_cli("reconstruct", study.store, tmp_path / "out", *given)
    assert (result.code, result.json["status"], result.json["n"]) == (5, "partial", 1)
    assert list(result.json["errors"]) == ["img000"]


def test_low_level_and_nearest(study: Study, tmp_path: Path, call_cli: Any) -> None:
    low = ("--decoder", "low-level", *study.low("versatile-diffusion"))
    weights = ("--weights", study.folder / "versatile-diffusion" / "vae", "--json")
    result = call_cli("reconstruct", study.store, tmp_path / "low", *low, *weights)
    assert (result.code, result.json["n"]) == (0, 5)
    with Image.open(next((tmp_path / "low" / "images").iterdir())) as picture:
        assert picture.size == (32, 32)

    near = ("--decoder", "nearest", *study.high("versatile-diffusion"), "--json")
    result = call_cli("reconstruct", study.store, tmp_path / "near", *near)
    assert (result.code, result.json["n"]) == (0, 5)
    images = open_store(study.store).images
    for line in json.loads((tmp_path / "near" / "manifest.json").read_text())["images"]:
        copied = images.read(np.array([line["source_row"]]))[0]
        np.testing.assert_array_equal(
            np.asarray(Image.open(tmp_path / "near" / line["file"])), copied
        )


def test_latent_rgb_needs_no_weights(
    study: Study, tmp_path: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a VAE was loaded")

    monkeypatch.setattr("diffusers.AutoencoderKL.from_pretrained", refuse)
    given = ("--decoder", "latent-rgb", *study.low("kandinsky-2.2"), "--json")
    store = study.store
    result = call_cli("reconstruct", store, tmp_path / "out", *given)
    assert (result.code, result.json["n"]) == (0, 5)
    again = call_cli("reconstruct", store, tmp_path / "out", *given)
    assert again.json["status"] == "notneeded"
    with Image.open(next((tmp_path / "out" / "images").iterdir())) as picture:
        assert picture.size == (64, 64)
    weights = ("--weights", study.folder / "kandinsky-2.2")
    refused = call_cli("reconstruct", store, tmp_path / "other", *given, *weights)
    assert refused.code == 2 and "reads no weights" in refused.json["error"]["message"]
    missing = call_cli(
        "reconstruct", store, tmp_path / "other", "--decoder", "latent-rgb", "--json"
    )
    assert missing.code == 2 and "--low" in missing.json["error"]["message"]
