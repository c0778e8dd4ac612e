"""`vicregl-convnext-xl:maps`: local features of VICRegL's ConvNeXt, the low-level teacher's.

The published teacher of the auxiliary loss: VICRegL's ConvNeXt-XL (Bardes et al. 2022), its final
norm on every position, and its projector of maps, for a picture brought bilinearly to 512: 16 x 16
positions of width 512. `vicregl-convnext-xl:maps:SIDE` reads pictures at another side, for maps of
SIDE / 32.

Shapes: `B` batch, `C` channels, `h w` map, `P` = h*w positions in reading order, `M` width.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from timm.models.convnext import ConvNeXt
from torch import Tensor, nn
from torch.nn import functional

from mindeye_cli.core.fingerprint import of_state_dict
from mindeye_cli.models.encoders.base import Encoder, named_side, on_device
from mindeye_cli.models.running import pick_device

NAME = "vicregl-convnext-xl:maps"
SIDE, STRIDE = 512, 32
MEAN = (0.485, 0.456, 0.406)
# The first is .229 wherever these numbers come from; the published targets were made with .228.
STD = (0.228, 0.224, 0.225)


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherSizes:
    """Blocks and channels of the four stages, and widths of the projector's three layers."""

    depths: tuple[int, ...]
    dims: tuple[int, ...]
    widths: tuple[int, ...]


class MapsTeacher(nn.Module):
    """ConvNeXt without layer scale, its norm on every position, and the projector of maps."""

    def __init__(self, sizes: TeacherSizes) -> None:
        super().__init__()
        trunk = ConvNeXt(depths=sizes.depths, dims=sizes.dims, ls_init_value=None, num_classes=0)
        self.stem, self.stages = trunk.stem, trunk.stages
        self.norm = nn.LayerNorm(sizes.dims[-1], eps=1e-6)
        first, second, last = sizes.widths
        self.width = last
        self.projector = nn.Sequential(
            nn.Linear(sizes.dims[-1], first),
            nn.LayerNorm(first),
            nn.ReLU(),
            nn.Linear(first, second),
            nn.LayerNorm(second),
            nn.ReLU(),
            nn.Linear(second, last, bias=False),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Map normalised pixels (B, 3, H, W) to features (B, P, M)."""
        feature_map: Tensor = self.stages(self.stem(pixels))
        maps: Tensor = self.projector(self.norm(feature_map.flatten(2).transpose(1, 2)))
        return maps


def load_maps_space(space: str, weights: Path | None) -> Encoder:
    """Load from the user's file; nothing is downloaded.

    Raises
    ------
    UsageProblem
        Not such a space.
    MissingResource
        No file was given, or it is absent.
    InvalidInput
        The file's weights do not fit.
    """
    from mindeye_cli.models.encoders.vicregl_file import read_teacher

    side, device = named_side(space, NAME, SIDE, STRIDE), pick_device()
    teacher = read_teacher(weights).to(device)
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (MEAN, STD))

    def compute(pixels: Tensor) -> Tensor:
        resized = functional.interpolate(
            pixels, size=(side, side), mode="bilinear", align_corners=False, antialias=True
        )
        maps: Tensor = teacher((resized - mean) / std)
        return maps

    return Encoder(
        space=space,
        shape=((side // STRIDE) ** 2, teacher.width),
        norm="raw",
        dtype="float16",
        description={
            "weights": of_state_dict(teacher.state_dict()),
            "transform": f"bilinear {side}, mean {MEAN}, std {STD}",
        },
        encode=on_device(compute, device),
    )
