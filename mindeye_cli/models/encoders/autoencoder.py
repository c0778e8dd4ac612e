"""`sd-vae`: Stable Diffusion's image autoencoder, posterior mode times the scaling factor.

MindEye's low-level targets: the picture bilinearly at 512, in [-1, 1], through the VAE of
lambdalabs' sd-image-variations v2 (KL-f8), its mean times 0.18215 (MindEye 2023, section 3.2 and
its published code). `sd-vae:SIDE` takes pictures at another side, for latents of SIDE / 8.

Shapes: `B` batch, latent (4, SIDE / 8, SIDE / 8).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mindeye_cli.core.fingerprint import of_state_dict
from mindeye_cli.models.encoders.base import Encoder, named_side, on_device
from mindeye_cli.models.encoders.cache import Repository, cached_folder
from mindeye_cli.models.running import pick_device

SIDE, STRIDE, CHANNELS = 512, 8, 4
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


def load_sd_vae(weights: Path | None, space: str = "sd-vae") -> Encoder:
    """Load from a local folder (a VAE, or a pipeline with `vae/`), else from the cache.

    Raises
    ------
    UsageProblem
        Not such a space.
    MissingResource
        The weights are absent.
    InvalidInput
        They are no autoencoder with such latents.
    """
    from mindeye_cli.models.encoders.autoencoder_files import read_autoencoder

    side, device = named_side(space, "sd-vae", SIDE, STRIDE), pick_device()
    vae = read_autoencoder(weights or cached_folder(REPOSITORY), CHANNELS).to(device)

    def compute(pixels: Tensor) -> Tensor:
        resized = functional.interpolate(
            pixels, size=(side, side), mode="bilinear", align_corners=False, antialias=True
        )
        return posterior_mode(vae, resized)

    with torch.inference_mode():
        shape = tuple(compute(torch.zeros(1, 3, 8, 8, device=device)).shape[1:])
    return Encoder(
        space=space,
        shape=shape,
        norm="raw",
        dtype="float16",
        description={
            "weights": of_state_dict(vae.state_dict()),
            "transform": f"bilinear {side}, posterior mode x {vae.config.scaling_factor}",
        },
        encode=on_device(compute, device),
    )
