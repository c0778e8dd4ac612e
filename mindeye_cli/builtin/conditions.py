"""Latents and condition tokens of the pool's scenes, encoded once for the generator's training.

Shape legend: N scenes; latents (N, 4, 16, 16); tokens (N, 17, 128).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor

from mindeye_cli.builtin.clip import to_unit
from mindeye_cli.builtin.vae import to_signed
from mindeye_cli.core.atomic import write_bytes
from mindeye_cli.models.scene.clip import SceneClip

_CHUNK = 64
_Encode = Callable[[NDArray[np.uint8]], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Memory-mapped arrays, row by row those of the pool."""

    latents: NDArray[np.float16]  # posterior mode times the scaling factor
    tokens: NDArray[np.float16]  # divided by the norm of the CLS token


def cls_normalised(tokens: Tensor) -> Tensor:
    """Tokens (B, T, D) divided by the norm of the first one: the space `scene-clip:tokens`."""
    return tokens / tokens[:, :1].norm(dim=-1, keepdim=True)


def _cached(path: Path, pixels: NDArray[np.uint8], encode: _Encode) -> NDArray[np.float16]:
    """The encoded pictures at `path`, encoded first where the file is absent."""
    if not path.exists():
        parts = []
        with torch.inference_mode():
            for start in range(0, len(pixels), _CHUNK):
                parts.append(encode(pixels[start : start + _CHUNK]).half().numpy())
        buffer = io.BytesIO()
        np.save(buffer, np.concatenate(parts), allow_pickle=False)
        write_bytes(path, buffer.getvalue())
    return np.load(path, mmap_mode="r")


def load_latents(
    folder: Path, pixels: NDArray[np.uint8], vae: AutoencoderKL
) -> NDArray[np.float16]:
    """Scaled latents (N, 4, 16, 16) of uint8 pictures (N, 64, 64, 3)."""

    def encode(chunk: NDArray[np.uint8]) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            mode = vae.encode(to_signed(chunk)).latent_dist.mode()
        return mode.float() * vae.config.scaling_factor

    return _cached(folder / "latents.npy", pixels, encode)


def load_tokens(folder: Path, pixels: NDArray[np.uint8], clip: SceneClip) -> NDArray[np.float16]:
    """CLS-normalised tokens (N, 17, 128) of uint8 pictures (N, 64, 64, 3)."""

    def encode(chunk: NDArray[np.uint8]) -> Tensor:
        return cls_normalised(clip.embed(to_unit(chunk))[1])

    return _cached(folder / "tokens.npy", pixels, encode)


def load_conditions(
    folder: Path, pixels: NDArray[np.uint8], clip: SceneClip, vae: AutoencoderKL
) -> Conditions:
    """Open the encoded scenes, encoding them first where they are absent.

    Parameters
    ----------
    folder : Path
        Where the arrays are kept; it belongs to one VAE, one encoder and one set of pictures.
    pixels : uint8 (N, 64, 64, 3)
    clip : SceneClip
    vae : AutoencoderKL

    Returns
    -------
    Conditions
        float16, read only.
    """
    return Conditions(
        latents=load_latents(folder, pixels, vae), tokens=load_tokens(folder, pixels, clip)
    )
