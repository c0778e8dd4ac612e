"""Folders of pictures as `reconstruct` and other people leave them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image


def save(folder: Path, pictures: dict[str, np.ndarray]) -> Path:
    """Write pictures as NAME.png."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def stimuli(n: int, side: int = 16) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    shape = (n, 4, 4, 3)
    coarse = draw.integers(0, 256, size=shape, dtype=np.uint8)
    large = np.kron(coarse, np.ones((1, side // 4, side // 4, 1), dtype=np.uint8))
    return {f"img{k:03d}": large[k] for k in range(n)}


def noisy(pictures: dict[str, np.ndarray], amount: int, seed: int = 1) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    return {
        name: np.clip(p + draw.integers(-amount, amount + 1, size=p.shape), 0, 255).astype(np.uint8)
        for name, p in pictures.items()
    }


def recon(folder: Path, pictures: dict[str, np.ndarray], **facts: object) -> Path:
    """A reconstruction folder with its manifest; names differ from ids, as for odd ids."""
    save(folder / "images", {f"pic-{name}": pixels for name, pixels in pictures.items()})
    lines = [{"name": f"pic-{name}", "id": name} for name in pictures]
    manifest = {"manifest_version": 1, "command": "reconstruct", "images": lines, **facts}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
