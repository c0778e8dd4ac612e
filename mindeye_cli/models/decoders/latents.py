"""Pictures of latents alone: the VAE's decoder without any generator.

Shapes: `B` batch, `C h w` a latent, `H W` a picture.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from mindeye_cli.models.decoders.base import Floats
from mindeye_store.errors import InvalidInput, MissingResource

BUILT_IN = Path(__file__).resolve().parents[2] / "weights" / "scene-generator" / "vae"


def vae_pictures(vae: AutoencoderKL, latents_bchw: torch.Tensor) -> Floats:
    """Decode scaled latents.

    Parameters
    ----------
    vae : AutoencoderKL
    latents_bchw : float32 tensor (B, C, h, w)
        Posterior mode times the VAE's scaling factor.

    Returns
    -------
    float32 array (B, H, W, 3) in [0, 1].
    """
    decoded = vae.decode(latents_bchw / vae.config.scaling_factor, return_dict=False)[0]
    pictures = (decoded / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).contiguous()
    return np.asarray(pictures.numpy(), dtype=np.float32)


class LatentDecoder:
    """The VAE of a latent SPACE, used for the low-level pictures.

    Parameters
    ----------
    space : str
        The latents' SPACE, such as `scene-vae`.
    weights : Path, optional
        A folder in diffusers' layout; needed for any other SPACE than the built-in one.

    Raises
    ------
    MissingResource
        There are no weights for this SPACE on this machine.
    """

    def __init__(self, space: str, weights: Path | None = None) -> None:
        folder = weights if weights is not None else BUILT_IN if space == "scene-vae" else None
        if folder is None or not (folder / "config.json").is_file():
            raise MissingResource(
                f"no VAE for the latents of {space}",
                where=str(folder) if folder else space,
                fix="give --weights a folder that holds an AutoencoderKL (config.json beside it)",
            )
        self.space = space
        self.vae = AutoencoderKL.from_pretrained(
            str(folder), local_files_only=True, dtype=torch.float32
        ).eval()

    @torch.inference_mode()
    def decode(self, latents: Floats) -> Floats:
        """Return the pictures of scaled latents, (B, C, h, w) to (B, H, W, 3) in [0, 1].

        Raises
        ------
        InvalidInput
            The latents have another number of channels than the VAE.
        """
        channels = int(self.vae.config.latent_channels)
        if latents.ndim != 4 or latents.shape[1] != channels:
            raise InvalidInput(
                f"the VAE of {self.space} takes (B, {channels}, h, w) latents, got {latents.shape}",
                where="latents",
                fix=f"train the low-level run with --space {self.space}",
            )
        return vae_pictures(
            self.vae, torch.from_numpy(np.ascontiguousarray(latents, dtype=np.float32))
        )
