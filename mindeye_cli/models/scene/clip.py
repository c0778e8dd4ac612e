"""scene-clip: an open_clip ViT for 64-px scenes with pooled and 17-token outputs.

Shape legend: B batch; pixels (B, 3, 64, 64) in [0, 1]; 17 tokens = CLS and a 4x4 grid; width 128.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from open_clip.model import CLIP
from torch import Tensor, nn
from torch.nn import functional

from mindeye_cli.models.scene.files import load_weights, weights_folder
from mindeye_cli.models.scene.words import WordTokenizer

GRID = 8  # patches a side; pooled 2x2 to 4 a side


class SceneClip(nn.Module):
    """An open_clip model with a word tokenizer and the project's two image outputs."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = WordTokenizer(config["words"])
        self.clip = CLIP(**config["open_clip"])

    def patches(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Projected class token and patch tokens.

        Parameters
        ----------
        pixels : float32 (B, 3, 64, 64)
            RGB in [0, 1].

        Returns
        -------
        pooled : float32 (B, 128)
        patches : float32 (B, 64, 128)
            Both after the last layer norm and the visual projection; not normalised.
        """
        visual = self.clip.visual
        # encode_image fails on the tuple that output_tokens makes, hence the tower itself.
        pooled, patches = visual(pixels * 2 - 1)
        return pooled, patches @ visual.proj

    def embed(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled embedding and 17 tokens.

        Parameters
        ----------
        pixels : float32 (B, 3, 64, 64)
            RGB in [0, 1].

        Returns
        -------
        pooled : float32 (B, 128)
        tokens : float32 (B, 17, 128)
            The pooled token, then the 4x4 grid in row-major order; not normalised.
        """
        pooled, patches = self.patches(pixels)
        return pooled, torch.cat([pooled[:, None], pool_grid(patches)], dim=1)

    def embed_text(self, captions: Sequence[str]) -> Tensor:
        """Text embeddings, float32 (B, 128), not normalised."""
        return self.clip.encode_text(self.tokenizer(captions))


def pool_grid(patches: Tensor) -> Tensor:
    """8x8 patch tokens (B, 64, D) averaged 2x2 to (B, 16, D)."""
    grid = patches.transpose(1, 2).unflatten(2, (GRID, GRID))
    return functional.avg_pool2d(grid, 2).flatten(2).transpose(1, 2)


def load_scene_clip(folder: Path | None = None) -> SceneClip:
    """The shipped encoder, in float32 and evaluation mode.

    Parameters
    ----------
    folder : Path, optional
        Another export with `config.json` and `model.safetensors`.

    Returns
    -------
    SceneClip

    Raises
    ------
    MissingResource
        If a file is absent.
    """
    folder = folder or weights_folder("scene-clip")
    model = SceneClip(json.loads((folder / "config.json").read_text()))
    load_weights(model, folder / "model.safetensors")
    return model
