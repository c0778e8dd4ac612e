"""Reading diffusers' AutoencoderKL from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mindeye_cli.models.diffusers_files import read_part
from mindeye_store.errors import InvalidInput


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
        Its files are damaged or of another architecture, or it has other latents.
    """
    from diffusers import AutoencoderKL

    inner = folder / "vae" if (folder / "vae").is_dir() else folder
    vae = read_part(AutoencoderKL, inner)
    if vae.config.latent_channels != channels:
        raise InvalidInput(
            f"the VAE has {vae.config.latent_channels} latent channels, not {channels}",
            where=str(inner),
        )
    return vae
