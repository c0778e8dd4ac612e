"""VICRegL's full checkpoint brought into timm's names: strict, but for what the teacher lacks.

The file holds `model`, `optimizer` and `epoch`; the model's keys begin with `module.`. Its global
projector and its classifier serve VICRegL's training alone and are left out by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mindeye_cli.models.encoders.vicregl import MapsTeacher, TeacherSizes
from mindeye_cli.models.torch_file import read_torch_file
from mindeye_store.errors import InvalidInput, MissingResource

FILE = "convnext_xlarge_alpha0.75_fullckpt.pth"
SOURCE = "https://github.com/facebookresearch/VICRegL"
UNUSED = ("projector.", "classifier.")
STAGES = 4
# Pairs (pattern of VICRegL's name, replacement that gives ours); every pattern that fits counts.
NAMES = (
    (r"^backbone\.downsample_layers\.0\.", "stem."),
    (r"^backbone\.downsample_layers\.(\d+)\.", r"stages.\1.downsample."),
    (r"^backbone\.stages\.(\d+)\.(\d+)\.", r"stages.\1.blocks.\2."),
    (r"^(stages\.\d+\.blocks\.\d+)\.dwconv\.", r"\1.conv_dw."),
    (r"^(stages\.\d+\.blocks\.\d+)\.pwconv([12])\.", r"\1.mlp.fc\2."),
    (r"^backbone\.norm\.", "norm."),
    (r"^maps_projector\.", "projector."),
)


def read_teacher(path: Path | None) -> MapsTeacher:
    """The teacher with the file's weights, in float32 and evaluation mode.

    Parameters
    ----------
    path : Path, optional
        The full checkpoint, or a folder that holds it under its published name.

    Raises
    ------
    MissingResource
        No file was given, or it is absent.
    InvalidInput
        No such checkpoint, or a missing, unknown or misshapen tensor, by its name.
    """
    if path is not None and path.is_dir():
        path = path / FILE
    if path is None or not path.is_file():
        raise MissingResource(
            "the weights of VICRegL's ConvNeXt-XL are not there",
            where=FILE if path is None else str(path),
            fix=f"download {FILE} (6.6 GB, CC-BY-NC) from {SOURCE} and give it by --weights",
        )
    state = _tensors(read_torch_file(path), path)
    teacher = _empty(_sizes(state, path))
    renamed = {our_name(key): (key, value) for key, value in state.items()}
    ours = teacher.state_dict()
    _refuse("unknown", [key for name, (key, _) in renamed.items() if name not in ours], path)
    _refuse("missing", [name for name in ours if name not in renamed], path)
    for name, (key, value) in renamed.items():
        if value.shape != ours[name].shape:
            raise InvalidInput(
                f"shape {tuple(value.shape)} where the other tensors ask for"
                f" {tuple(ours[name].shape)}",
                where=f"{path}, {key}",
            )
    weights = {name: value.float() for name, (_, value) in renamed.items()}
    teacher.load_state_dict(weights, strict=True, assign=True)
    return teacher.eval().requires_grad_(False)


def our_name(key: str) -> str:
    """Our name of one of VICRegL's keys, without `module.`."""
    for theirs, ours in NAMES:
        key = re.sub(theirs, ours, key)
    return key


def _tensors(saved: Any, path: Path) -> dict[str, Tensor]:
    """The model's tensors that the teacher has, without the prefix of its training wrapper."""
    model = saved.get("model") if isinstance(saved, Mapping) else None
    if not isinstance(model, Mapping):
        raise InvalidInput(
            "not VICRegL's full checkpoint: it has no 'model'",
            where=str(path),
            fix=f"the file of the backbone alone has no projector; take {FILE}",
        )
    plain = {str(key).removeprefix("module."): value for key, value in model.items()}
    kept = {key: value for key, value in plain.items() if not key.startswith(UNUSED)}
    for key, value in kept.items():
        if not isinstance(value, Tensor) or not torch.isfinite(value).all():
            raise InvalidInput("not a tensor of finite values", where=f"{path}, {key}")
    return kept


def _sizes(state: Mapping[str, Tensor], path: Path) -> TeacherSizes:
    """Depths and widths, read off the tensors."""

    def width(key: str, axes: int) -> int:
        if key not in state or state[key].dim() != axes:
            raise InvalidInput(
                f"no tensor of {axes} axes that tells a size", where=f"{path}, {key}"
            )
        return len(state[key])

    stems = [f"backbone.downsample_layers.{i}.{int(i > 0)}.weight" for i in range(STAGES)]
    blocks = [re.match(r"backbone\.stages\.(\d+)\.(\d+)\.", key) for key in state]
    found = [(int(block[1]), int(block[2])) for block in blocks if block]
    return TeacherSizes(
        depths=tuple(1 + max((j for s, j in found if s == i), default=0) for i in range(STAGES)),
        dims=tuple(width(stem, 4) for stem in stems),
        widths=tuple(width(f"maps_projector.{layer}.weight", 2) for layer in (0, 3, 6)),
    )


def _empty(sizes: TeacherSizes) -> MapsTeacher:
    with torch.device("meta"):
        return MapsTeacher(sizes)


def _refuse(what: str, keys: list[str], path: Path) -> None:
    if keys:
        more = f" and {len(keys) - 5} more" if len(keys) > 5 else ""
        raise InvalidInput(
            f"{what} tensors in the checkpoint", where=f"{path}: {', '.join(keys[:5])}{more}"
        )
