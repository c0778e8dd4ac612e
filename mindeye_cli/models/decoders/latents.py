"""Pictures of latents alone: the VAE's decoder without any generator.

Shapes: `B` batch, `C h w` a latent, `H W` a picture.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from mindeye_cli.models.decoders.base import Floats
from mindeye_cli.models.diffusers_files import read_part
from mindeye_cli.models.encoders.autoencoder import REPOSITORY
from mindeye_cli.models.encoders.cache import cached_folder
from mindeye_cli.models.running import pick_device
from mindeye_store.errors import InvalidInput, MissingResource

BUILT_IN = Path(__file__).resolve().parents[2] / "weights" / "scene-generator" / "vae"


def decode_scaled(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Decode scaled latents, (B, C, h, w) to (B, 3, H, W) in [-1, 1].

    Parameters
    ----------
    vae : AutoencoderKL
    latents : float tensor (B, C, h, w)
        Posterior mode times the VAE's scaling factor.
    """
    scaled = latents.to(vae.dtype) / vae.config.scaling_factor
    decoded: torch.Tensor = vae.decode(scaled, return_dict=False)[0]
    return decoded


def to_pictures(decoded: torch.Tensor) -> Floats:
    """Bring decoded pictures to [0, 1].

    Parameters
    ----------
    decoded : float tensor (B, 3, H, W)
        In [-1, 1] but for overshoot.

    Returns
    -------
    float32 array (B, H, W, 3) in [0, 1]; rows with a value that is not finite are all NaN, which
    clipping would hide.
    """
    values = decoded.float()
    fine = torch.isfinite(values).flatten(1).all(dim=1)
    pictures = (values / 2 + 0.5).clamp(0, 1)
    pictures[~fine] = torch.nan
    return np.asarray(pictures.permute(0, 2, 3, 1).contiguous().cpu().numpy(), dtype=np.float32)


class LatentDecoder:
    """The VAE of a latent SPACE, used for the low-level pictures.

    Parameters
    ----------
    space : str
        The latents' SPACE, such as `scene-vae`.
    weights : Path, optional
        A VAE in diffusers' layout, or a folder with `vae/` in it, in place of the built-in or
        cached one.

    Raises
    ------
    MissingResource
        There are no weights for this SPACE on this machine.
    InvalidInput
        They are of another architecture.
    """

    def __init__(self, space: str, weights: Path | None = None) -> None:
        from diffusers import AutoencoderKL

        self.space = space
        self.device = pick_device()
        self.vae = read_part(AutoencoderKL, vae_folder(space, weights)).to(self.device)

    @torch.inference_mode()
    def decode(self, latents: Floats) -> Floats:
        """Return the pictures of scaled latents, (B, C, h, w) to (B, H, W, 3) in [0, 1].

        Raises
        ------
        InvalidInput
            The latents have another number of channels than the VAE.
        """
        whole = torch.from_numpy(np.ascontiguousarray(latents, dtype=np.float32))
        return to_pictures(self.decode_tensor(whole))

    def decode_tensor(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the pictures of scaled latents, (B, C, h, w) to (B, 3, H, W) in [-1, 1].

        Raises
        ------
        InvalidInput
            The latents have another number of channels than the VAE.
        """
        channels, given = int(self.vae.config.latent_channels), tuple(latents.shape)
        if len(given) != 4 or given[1] != channels:
            raise InvalidInput(
                f"the VAE of {self.space} takes (B, {channels}, h, w) latents, got {given}",
                where="latents",
                fix=f"mindeye train low-level STORE RUN --space {self.space}",
            )
        return decode_scaled(self.vae, latents.to(self.device))


def vae_folder(space: str, weights: Path | None) -> Path:
    """Where the VAE of a latent SPACE lies.

    Parameters
    ----------
    space : str
    weights : Path or None
        A VAE, or a folder with `vae/` in it, in place of the built-in or cached one.

    Raises
    ------
    MissingResource
        None is known for the SPACE, or it is not on this machine.
    """
    if weights is not None:
        return weights if (weights / "config.json").is_file() else weights / "vae"
    if space == "scene-vae":
        return BUILT_IN
    if space == "sd-vae":
        return cached_folder(REPOSITORY) / "vae"
    raise MissingResource(
        f"no VAE is known for the latents of {space}",
        where=space,
        fix="give --weights a folder that holds an AutoencoderKL (config.json beside it)",
    )
