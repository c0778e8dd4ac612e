"""`clip-vit-l14` and any `open_clip:MODEL:PRETRAINED`: pooled vectors, or tokens.

Tokens are MindEye's targets: the last block's output, `ln_post` and the projection applied to
every token, all divided by the norm of the class token (MindEye 2023, section 3.1 and its
published code). The pooled vector is left as the model gives it, as in the published 1x768
targets and as generators that take image embeddings expect; retrieval compares by cosine.

Shapes: `B` batch, `T` tokens with the class token first, `D` embedding width, `S` side.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mindeye_cli.core.fingerprint import of_state_dict
from mindeye_cli.models.encoders.base import (
    Encoder,
    Norm,
    by_norm,
    on_device,
    resize_crop,
)
from mindeye_cli.models.encoders.clip_files import LoadedClip, load_clip
from mindeye_cli.models.running import pick_device
from mindeye_store.errors import UsageProblem

# OpenAI's ViT-L/14 was trained with the quick GELU; open_clip's plain ViT-L-14 has the exact one.
CLIP_VIT_L14 = ("ViT-L-14-quickgelu", "openai")
OUTPUTS = ("pooled", "tokens")
_FITS = {"shortest": "centre crop", "squash": "both sides"}


@dataclass(frozen=True, slots=True)
class ClipName:
    """open_clip's model and tag, and which output."""

    model: str
    pretrained: str
    output: str


def parse_clip(space: str) -> ClipName:
    """Take a space's name apart; without an output it is the pooled vector.

    Raises
    ------
    UsageProblem
        Not such a name.
    """
    family, *parts = space.split(":")
    output = parts.pop() if parts and parts[-1] in OUTPUTS else "pooled"
    if family == "clip-vit-l14" and not parts:
        return ClipName(*CLIP_VIT_L14, output)
    if family == "open_clip" and len(parts) == 2 and all(parts):
        return ClipName(parts[0], parts[1], output)
    raise UsageProblem(
        f"{space!r} is not clip-vit-l14[:pooled|:tokens] or"
        " open_clip:MODEL:PRETRAINED[:pooled|:tokens]",
        where="--space",
    )


def load_clip_space(space: str, weights: Path | None) -> Encoder:
    """Load an open_clip model's image tower.

    Raises
    ------
    MissingResource
        The weights are absent.
    InvalidInput
        The weights do not fit the model.
    UsageProblem
        open_clip has no such model, or it has no tokens.
    """
    name = parse_clip(space)
    device = pick_device()
    loaded = load_clip(name.model, name.pretrained, weights)
    if loaded.fit not in _FITS:
        raise UsageProblem(f"pictures fitted by {loaded.fit!r} are not supported", where=space)
    visual = loaded.visual.to(device)
    norm: Norm = "cls" if name.output == "tokens" else "raw"
    outputs = _tokens if name.output == "tokens" else _pooled
    if name.output == "tokens":
        _need_tokens(visual, space)

    def compute(pixels: Tensor) -> Tensor:
        return by_norm(outputs(visual, _as_trained(pixels, loaded)), norm)

    with torch.inference_mode():
        shape = tuple(compute(torch.zeros(1, 3, loaded.side, loaded.side, device=device)).shape[1:])
    return Encoder(
        space=space,
        shape=shape,
        norm=norm,
        dtype="float16" if name.output == "tokens" else "float32",
        description={
            "weights": of_state_dict(visual.state_dict()),
            "transform": f"{loaded.interpolation} {loaded.side} no antialias, {_FITS[loaded.fit]},"
            f" mean {loaded.mean}, std {loaded.std}",
        },
        encode=on_device(compute, device),
    )


def _as_trained(pixels: Tensor, loaded: LoadedClip) -> Tensor:
    """Pictures in [0, 1] at the model's side, less its mean, over its deviation; (B, 3, S, S)."""
    fitted = resize_crop(
        pixels, loaded.side, mode=loaded.interpolation, squash=loaded.fit == "squash"
    )
    mean, std = (fitted.new_tensor(v).view(1, 3, 1, 1) for v in (loaded.mean, loaded.std))
    return (fitted - mean) / std


def _pooled(visual: Any, pixels: Tensor) -> Tensor:
    """The image embedding, (B, D)."""
    result = visual(pixels)
    pooled: Tensor = result[0] if isinstance(result, tuple) else result
    return pooled


def _tokens(visual: Any, pixels: Tensor) -> Tensor:
    """Every token after `ln_post` and the projection, (B, T, D)."""
    last = visual.forward_intermediates(
        pixels,
        indices=1,
        normalize_intermediates=True,
        intermediates_only=True,
        output_fmt="NLC",
        output_extra_tokens=True,
    )
    prefix, patches = last["image_intermediates_prefix"][-1], last["image_intermediates"][-1]
    tokens: Tensor = torch.cat([prefix, patches], dim=1) @ visual.proj
    return tokens


def _need_tokens(visual: Any, space: str) -> None:
    """Refuse towers whose embedding is not the projected class token of a plain ViT."""
    parts = ("forward_intermediates", "ln_post", "proj", "class_embedding")
    plain = all(getattr(visual, part, None) is not None for part in parts)
    if plain and getattr(visual, "attn_pool", None) is None and visual.pool_type == "tok":
        return
    raise UsageProblem(
        f"{space}: this image tower does not project a class token, its tokens are not defined",
        where="--space",
        fix=f"use {space.removesuffix('tokens')}pooled, or a plain ViT model",
    )
