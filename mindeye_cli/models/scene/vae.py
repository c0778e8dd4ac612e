"""scene-vae: diffusers' AutoencoderKL at 64 px, latent 4x16x16; it lies inside the generator."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL

from mindeye_cli.models.scene.files import weights_folder


def load_scene_vae(folder: Path | None = None) -> AutoencoderKL:
    """The shipped VAE, in float32 and evaluation mode.

    Parameters
    ----------
    folder : Path, optional
        Another folder in diffusers' layout.

    Returns
    -------
    AutoencoderKL
        Takes and gives pictures (B, 3, 64, 64) in [-1, 1]; latents (B, 4, 16, 16) times
        `config.scaling_factor` have a root mean square of one.

    Raises
    ------
    MissingResource
        If the package came without it.
    """
    folder = folder or weights_folder("scene-generator") / "vae"
    vae = AutoencoderKL.from_pretrained(str(folder), local_files_only=True, dtype=torch.float32)
    vae.eval().requires_grad_(False)
    return vae
