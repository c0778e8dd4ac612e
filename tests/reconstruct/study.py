"""A tiny study: a store in the built-in spaces, short runs, and a random generator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from decoders.tiny import save_tiny_generator

from mindeye_cli.app import main
from mindeye_cli.models.encoders import load_encoder
from mindeye_store import create_store

TRAIN, TEST, VOXELS, REPEATS = 24, 5, 20, 2
# Noise-ceiling SNR where areas are asked for: ten levels, two voxels each.
NCSNR = np.tile(np.arange(10), 2).astype(np.float32) / 10
TOKENS, LATENTS = "scene-clip:tokens", "scene-vae"
SMALL = {
    "high-level": ("model.hidden=16", "model.blocks=1", "model.prior.depth=1"),
    "low-level": ("model.hidden=16", "model.blocks=1", "losses.contrastive=0"),
}


@dataclass(frozen=True)
class Study:
    store: Path
    high: Path
    low: Path
    ridge: Path
    generator: Path
    ids: list[str]


def build_store(
    path: Path,
    *,
    stimuli: int = 0,
    encoder: str | None = None,
    areas: bool = False,
    kept: np.ndarray | None = None,
) -> Path:
    """The store; `stimuli` seeds the pictures of the test images alone.

    With `areas`, the subject has the areas A, B, C and D of five voxels, AB, and a noise ceiling;
    voxels that are not `kept` are 0.
    """
    draw = np.random.default_rng(0)
    n = TEST + TRAIN
    pixels = draw.integers(0, 256, size=(n, 64, 64, 3), dtype=np.uint8)
    pixels[:TEST] = np.random.default_rng(stimuli).integers(0, 256, size=(TEST, 64, 64, 3))
    store = create_store(path)
    store.add_images(names(n), lambda k: pixels[k], (64, 64, 3), plan={"n": n, "seed": stimuli})
    index = np.repeat(np.arange(n), REPEATS)
    latent = draw.standard_normal((n, 6))
    values = latent[index] @ draw.standard_normal((6, VOXELS))
    values += draw.standard_normal(values.shape)
    arrays = {
        "voxels": values.astype(np.float32),
        "image_index": index,
        "session": np.ones(len(index), np.int16),
        "run": np.ones(len(index), np.int16),
        "repeat": np.tile(np.arange(REPEATS), n).astype(np.int16),
        "split": (index < TEST).astype(np.uint8),
        "ijk": np.stack([np.arange(VOXELS)] * 3, axis=1).astype(np.int16),
    }
    attrs = {}
    if areas:
        arrays["ncsnr"] = NCSNR
        arrays["roi/parts"] = (np.arange(VOXELS) // 5 + 1).astype(np.int16)
        arrays["roi/larger"] = (np.arange(VOXELS) < 10).astype(np.int16)
        parts = {str(k + 1): name for k, name in enumerate("ABCD")}
        attrs = {"roi_labels": {"parts": parts, "larger": {"1": "AB"}}}
    if kept is not None:
        arrays["voxels"] = arrays["voxels"] * kept.astype(np.float32)
    _bundle(store, "subjects/s1", arrays, attrs)
    for space, shape, norm in ((TOKENS, (17, 128), "cls"), (LATENTS, (4, 16, 16), "raw")):
        rows = latent @ draw.standard_normal((6, int(np.prod(shape))))
        rows = rows.reshape(n, *shape).astype(np.float32)
        if stimuli:
            rows[:TEST] = 1000.0 * stimuli
        # The encoder's own: the choice compares candidates with what the run was trained on.
        fingerprint = load_encoder(space).fingerprint if encoder is None else encoder
        attrs = {"space": space, "norm": norm, "fingerprint": fingerprint}
        _bundle(store, f"targets/{space}/0000", {"rows": rows}, attrs)
    return path


def names(n: int) -> list[str]:
    return [f"img{k:03d}" for k in range(n)]


def arguments(study: Study, out: Path, *more: str | Path) -> list[Any]:
    """Words of a command with two pictures an image, in few steps."""
    both = ("--high", study.high, "--low", study.low, "--weights", study.generator)
    few = ("--candidates", "2", "--steps", "2", "--set", "prior.steps=5", "--json")
    return ["reconstruct", study.store, out, *both, *few, *more]


def build(folder: Path, *, areas: bool = False) -> Study:
    """Store, generator, and one run of each kind."""
    store = build_store(folder / "store.zarr", areas=areas)
    save_tiny_generator(folder / "generator", width=128, latent_side=16)
    for kind, space in (("high-level", TOKENS), ("low-level", LATENTS), ("ridge", TOKENS)):
        changes = list(SMALL.get(kind, ()))
        if changes:
            changes += ["optim.epochs=1", "optim.batch=8"]
        settings = [word for change in changes for word in ("--set", change)]
        given = ["train", kind, str(store), str(folder / kind), "--subject", "s1"]
        assert main([*given, "--space", space, *settings, "--quiet"]) == 0
    runs = (folder / "high-level", folder / "low-level", folder / "ridge")
    return Study(store, *runs, folder / "generator", names(TEST))


def _bundle(store: Any, name: str, arrays: dict[str, Any], attrs: dict[str, Any]) -> None:
    with store.write_bundle(name, plan={"name": name}, attrs=attrs) as writer:
        for key, value in arrays.items():
            writer.array(key, shape=value.shape, dtype=value.dtype).write_all(value)
        writer.publish()
