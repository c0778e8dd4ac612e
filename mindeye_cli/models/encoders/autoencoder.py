"""`sd-vae`: Stable Diffusion's image autoencoder, posterior mode times the scaling factor.

MindEye's low-level targets: the picture bilinearly at 512, in [-1, 1], through the VAE of
lambdalabs' sd-image-variations v2 (KL-f8), its mean times 0.18215 (MindEye 2023, section 3.2 and
its published code).

Shapes: `B` batch, latent (4, 64, 64).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mindeye_cli.core.fingerprint import of_state_dict
from mindeye_cli.models.encoders.base import Encoder, on_device
from mindeye_cli.models.encoders.cache import Repository, cached_folder
from mindeye_cli.models.running import pick_device

SIDE, LATENT = 512, (4, 64, 64)
REPOSITORY = Repository(
    name="lambdalabs/sd-image-variations-diffusers",
    revision="v2.0",
    files=("vae/config.json", "vae/diffusion_pytorch_model.*"),
    size="335 MB",
)


def posterior_mode(vae: Any, pixels: Tensor) -> Tensor:
    """Mean of the latent's posterior times the scaling factor.

    Parameters
    ----------
    vae : diffusers.AutoencoderKL
    pixels : float32 (B, 3, H, W) in [0, 1]

    Returns
    -------
    float32 (B, C, h, w)
    """
    latent: Tensor = vae.encode(pixels * 2 - 1).latent_dist.mode()
    return latent * vae.config.scaling_factor


def load_sd_vae(weights: Path | None) -> Encoder:
    """Load from a local folder (a VAE, or a pipeline with `vae/`), else from the cache.

    Raises
    ------
    MissingResource
        The weights are absent.
    InvalidInput
        They are no autoencoder with such latents.
    """
    from mindeye_cli.models.encoders.autoencoder_files import read_autoencoder

    device = pick_device()
    vae = read_autoencoder(weights or cached_folder(REPOSITORY), LATENT[0]).to(device)

    def compute(pixels: Tensor) -> Tensor:
        resized = functional.interpolate(
            pixels, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True
        )
        return posterior_mode(vae, resized)

    with torch.inference_mode():
        shape = tuple(compute(torch.zeros(1, 3, 8, 8, device=device)).shape[1:])
    return Encoder(
        space="sd-vae",
        shape=shape,
        norm="raw",
        dtype="float16",
        description={
            "weights": of_state_dict(vae.state_dict()),
            "transform": f"bilinear {SIDE}, posterior mode x {vae.config.scaling_factor}",
        },
        encode=on_device(compute, device),
    )
