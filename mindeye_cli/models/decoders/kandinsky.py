"""Decoder over Kandinsky 2.2: a pooled image embedding, and an RGB picture to start from.

Its own latents are of a MoVQ, so the initial latent is decoded by the VAE of its SPACE first. The
published DDPM sampler is kept: the UNet predicts a variance that other samplers have no use for.

Shapes: `B` batch, `D` width of the image embedding, `H W` a picture.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import torch
from torch.nn import functional

from mindeye_cli.models.decoders.base import Sampling
from mindeye_cli.models.decoders.generator import Generator
from mindeye_cli.models.decoders.latents import LatentDecoder
from mindeye_cli.models.decoders.stable_diffusion import read_scheduler_config
from mindeye_cli.models.diffusers_files import quiet, read_part, refuse_conditions


class KandinskyDecoder(Generator):
    """Pictures from a pooled vector through diffusers' Kandinsky 2.2 pipelines.

    Parameters
    ----------
    name, space, latent_space, defaults, half
        As of `StableDiffusionDecoder`.
    folder : Path
        Holds `unet/`, `movq/` and `scheduler/`; a `vae/` in it decodes initial latents in place of
        the cached VAE of their SPACE.

    Raises
    ------
    MissingResource
        A part is absent.
    InvalidInput
        A part is of another architecture.
    """

    def __init__(
        self,
        *,
        name: str,
        folder: Path,
        space: str,
        latent_space: str,
        defaults: Sampling,
        half: bool = False,
    ) -> None:
        super().__init__(
            name=name, space=space, latent_space=latent_space, defaults=defaults, half=half
        )
        from diffusers import (
            DDPMScheduler,
            KandinskyV22Img2ImgPipeline,
            KandinskyV22Pipeline,
            UNet2DConditionModel,
            VQModel,
        )

        self.folder = folder
        config = read_scheduler_config(DDPMScheduler, folder)
        parts = {
            "unet": read_part(UNet2DConditionModel, folder / "unet", dtype=self.dtype),
            "movq": read_part(VQModel, folder / "movq", dtype=self.dtype),
            "scheduler": DDPMScheduler.from_config(config),
        }
        self.unet, self.movq = parts["unet"].to(self.device), parts["movq"].to(self.device)
        conditions = {"encoder_hid_dim_type": "image_proj", "addition_embed_type": "image"}
        refuse_conditions(self.unet, folder / "unet", **conditions)
        self.embedding_shape = (int(self.unet.config.encoder_hid_dim),)
        self.from_noise = KandinskyV22Pipeline(**parts)
        self.from_picture = KandinskyV22Img2ImgPipeline(**parts)
        self.pipelines = (self.from_noise, self.from_picture)
        for pipeline in self.pipelines:
            pipeline.set_progress_bar_config(disable=True)
        self.side = int(self.unet.config.sample_size) * self.from_noise.movq_scale_factor

    @cached_property
    def starts(self) -> LatentDecoder:
        """The VAE of the initial latents, read when the first of them comes."""
        own = self.folder / "vae"
        with quiet():
            return LatentDecoder(str(self.latent_space), own if own.is_dir() else None)

    def draw(
        self,
        embeddings: torch.Tensor,
        noise: list[torch.Generator],
        sampling: Sampling,
        start: torch.Tensor | None,
    ) -> torch.Tensor:
        """See :class:`~mindeye_cli.models.decoders.generator.Generator`."""
        arguments = {
            "image_embeds": embeddings,
            "negative_image_embeds": torch.zeros_like(embeddings),
            "guidance_scale": sampling.guidance,
            "num_inference_steps": sampling.steps,
            "generator": noise,
            "height": self.side,
            "width": self.side,
            "output_type": "latent",
        }
        if start is None:
            latents = self.from_noise(**arguments).images
        else:
            picture = (self.decode(start) / 2 + 0.5).clamp(0, 1).to(self.dtype)
            latents = self.from_picture(
                image=picture, strength=sampling.strength, **arguments
            ).images
        decoded: torch.Tensor = self.movq.decode(latents, force_not_quantize=True)["sample"]
        return decoded

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """See :class:`~mindeye_cli.models.decoders.generator.Generator`."""
        decoded = self.starts.decode_tensor(latents)
        size = (self.side, self.side)
        if decoded.shape[2:] == size:
            return decoded
        return functional.interpolate(
            decoded, size=size, mode="bilinear", align_corners=False, antialias=True
        )
