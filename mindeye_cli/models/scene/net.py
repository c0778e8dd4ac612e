"""scene-net: the independent judge, a small supervised CNN that is never a target.

Shape legend: B batch; pixels (B, 3, 64, 64) in [0, 1]; F=128 features.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from mindeye_cli.core.scenes import CATEGORIES, COLOURS
from mindeye_cli.models.scene.files import load_weights, weights_folder


class _Block(nn.Module):
    """Two 3x3 convolutions with a skip; the first may halve the grid."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outer)
        self.second = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outer)
        self.skip = nn.Conv2d(inner, outer, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.norm1(self.first(x)))
        return functional.relu(self.norm2(self.second(inner)) + self.skip(x))


class SceneNet(nn.Module):
    """Reads the largest object's category, colour, position and size.

    Parameters
    ----------
    widths : sequence of int
        Channels of the stem and of the three stages.
    features : int
        Width of the penultimate layer.
    """

    def __init__(self, widths: tuple[int, ...] = (24, 48, 96, 128), features: int = 128) -> None:
        super().__init__()
        self.widths = widths
        stem, *stages = widths
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem, 5, 2, 2, bias=False), nn.BatchNorm2d(stem), nn.ReLU()
        )
        blocks: list[nn.Module] = []
        for inner, outer in pairwise(widths):
            blocks += [_Block(inner, outer, 2), _Block(outer, outer, 1)]
        self.blocks = nn.Sequential(*blocks)
        self.penultimate = nn.Linear(stages[-1] * 16, features)
        self.heads = nn.ModuleDict(
            {
                "category": nn.Linear(features, len(CATEGORIES)),
                "colour": nn.Linear(features, len(COLOURS)),
                "place": nn.Linear(features, 3),
            }
        )

    def features(self, pixels: Tensor) -> Tensor:
        """Penultimate activations.

        Parameters
        ----------
        pixels : float32 (B, 3, 64, 64)
            RGB in [0, 1].

        Returns
        -------
        float32 (B, F)
        """
        maps = self.blocks(self.stem(pixels * 2 - 1))
        return functional.relu(self.penultimate(maps.flatten(1)))

    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        """What the largest object is.

        Parameters
        ----------
        pixels : float32 (B, 3, 64, 64)
            RGB in [0, 1].

        Returns
        -------
        dict
            `category` and `colour`: logits (B, 10) in the order of `CATEGORIES` and `COLOURS`;
            `x`, `y`, `size`: (B,), fractions of the picture's width.
        """
        features = self.features(pixels)
        x, y, size = self.heads["place"](features).unbind(1)
        return {
            "category": self.heads["category"](features),
            "colour": self.heads["colour"](features),
            "x": x,
            "y": y,
            "size": size,
        }


def load_scene_net(folder: Path | None = None) -> SceneNet:
    """The shipped judge, in float32 and evaluation mode.

    Parameters
    ----------
    folder : Path, optional
        Another export with `config.json` and `model.safetensors`.

    Returns
    -------
    SceneNet

    Raises
    ------
    MissingResource
        If a file is absent.
    """
    folder = folder or weights_folder("scene-net")
    config = json.loads((folder / "config.json").read_text())
    model = SceneNet(widths=tuple(config["widths"]), features=config["features"])
    load_weights(model, folder / "model.safetensors")
    return model
