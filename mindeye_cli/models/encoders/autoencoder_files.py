"""Reading diffusers' AutoencoderKL from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mindeye_store.errors import InvalidInput, MissingResource


def read_autoencoder(folder: Path, channels: int) -> Any:
    """Load an AutoencoderKL in float32 and evaluation mode.

    Parameters
    ----------
    folder : Path
        A VAE's folder, or a pipeline's with `vae/` in it.
    channels : int
        Latent channels that it must have.

    Raises
    ------
    MissingResource
        No VAE there.
    InvalidInput
        Its files are damaged, or it has other latents.
    """
    inner = folder / "vae" if (folder / "vae").is_dir() else folder
    if not (inner / "config.json").is_file():
        raise MissingResource(
            "no VAE in diffusers' layout",
            where=str(inner / "config.json"),
            fix="give --weights a folder with config.json and diffusion_pytorch_model.safetensors",
        )
    from diffusers import AutoencoderKL

    try:
        vae = AutoencoderKL.from_pretrained(
            str(inner), local_files_only=True, torch_dtype=torch.float32
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidInput(f"the VAE cannot be loaded: {reason}", where=str(inner)) from error
    if vae.config.latent_channels != channels:
        raise InvalidInput(
            f"the VAE has {vae.config.latent_channels} latent channels, not {channels}",
            where=str(inner),
        )
    vae.eval().requires_grad_(False)
    return vae
