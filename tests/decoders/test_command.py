"""`mindeye reconstruct --decoder NAME` from end to end, for every name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decoders import layouts
from PIL import Image
from reconstruct.study import SMALL, build_store

from mindeye_cli.app import main
from mindeye_cli.models.decoders import DECODERS
from mindeye_store import open_store

LATENTS = (4, 16, 16)
SAVE = {
    "versatile-diffusion": (layouts.save_versatile_diffusion, (257, 16)),
    "sd-image-variations": (layouts.save_image_variations, (16,)),
    "stable-unclip": (layouts.save_stable_unclip, (12,)),
    "kandinsky-2.2": (layouts.save_kandinsky, (12,)),
    "ip-adapter": (layouts.save_ip_adapter, (12,)),
}


@dataclass(frozen=True)
class Study:
    folder: Path
    low: Path

    def run(self, name: str) -> list[Any]:
        """What a decoder is given."""
        space = DECODERS[name].space
        given = ["--high", self.folder / space, "--weights", self.folder / name]
        return [self.folder / "store.zarr", "--decoder", name, *given]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("study")
    store = open_store(build_store(folder / "store.zarr"))
    draw = np.random.default_rng(0)
    shapes = {"sd-vae": LATENTS} | {
        DECODERS[name].space: shape for name, (_, shape) in SAVE.items()
    }
    for space, shape in shapes.items():
        rows = draw.standard_normal((store.images.n, *shape)).astype(np.float32)
        attrs = {"space": space, "norm": "raw", "fingerprint": space}
        plan = {"space": space}
        with store.write_bundle(f"targets/{space}/0000", plan=plan, attrs=attrs) as writer:
            writer.array("rows", shape=rows.shape, dtype=rows.dtype).write_all(rows)
            writer.publish()
        if space != "sd-vae":
            train(folder, "ridge", space)
    train(folder, "low-level", "sd-vae")
    for name, (save, _) in SAVE.items():
        save(folder / name)
    return Study(folder, folder / "sd-vae")


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
    low = [] if DECODERS[name].latent_space is None else ["--low", study.low]
    store, *given = study.run(name)
    many = ("--candidates", "1", "--steps", "4", "--limit", "2", "--json")
    result = call_cli("reconstruct", store, tmp_path / "out", *given, *low, *many)
    assert (result.code, result.json["n"], result.json["decoder"]) == (0, 2, name)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["strength"] == (0.85 if low else 1.0)
    with Image.open(tmp_path / "out" / manifest["images"][0]["file"]) as picture:
        assert picture.size == (32, 32)
    assert (tmp_path / "out" / "blurry").exists() == bool(low)


def test_other_spaces_are_refused_by_the_command_that_mends_it(
    study: Study, tmp_path: Path, call_cli: Any
) -> None:
    store = study.folder / "store.zarr"
    for name, option, run, words in (
        ("kandinsky-2.2", "--high", DECODERS["ip-adapter"].space, "--space open_clip:ViT-bigG-14"),
        ("scene", "--high", DECODERS["ip-adapter"].space, "--space scene-clip:tokens"),
        ("stable-unclip", "--low", "sd-vae", "leave --low out"),
    ):
        more = [option, study.folder / run]
        high = [] if option == "--high" else ["--high", study.folder / DECODERS[name].space]
        given = ("--decoder", name, *more, *high, "--json")
        result = call_cli("reconstruct", store, tmp_path / "out", *given)
        assert result.code == 3 and name in result.json["error"]["message"]
        assert words in result.json["error"]["fix"]
        assert not (tmp_path / "out").exists()


def test_latent_rgb_needs_no_weights(study: Study, tmp_path: Path, call_cli: Any) -> None:
    given = ("--decoder", "latent-rgb", "--low", study.low, "--json")
    store = study.folder / "store.zarr"
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
