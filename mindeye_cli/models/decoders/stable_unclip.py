"""Decoder over Stable unCLIP: a pooled image embedding as class label, beside an empty prompt.

The pipeline has no strength, so this decoder takes no initial latent.

Shapes: `B` batch, `T` text tokens, `D` width of the image embedding.
"""

from __future__ import annotations

from pathlib import Path

import torch

from mindeye_cli.models.decoders.base import Sampling
from mindeye_cli.models.decoders.empty_prompt import empty_prompt
from mindeye_cli.models.decoders.generator import Generator
from mindeye_cli.models.decoders.latents import decode_scaled
from mindeye_cli.models.decoders.stable_diffusion import (
    read_scheduler_config,
    read_stable_diffusion,
)
from mindeye_cli.models.diffusers_files import quiet, read_part


class StableUnclipDecoder(Generator):
    """Pictures from a pooled vector through `StableUnCLIPImg2ImgPipeline`.

    Parameters
    ----------
    name, folder, space, defaults, half
        As of `StableDiffusionDecoder`; the folder also holds `tokenizer/`, `text_encoder/`,
        `image_normalizer/` and `image_noising_scheduler/`. Its image encoder is not read.

    Raises
    ------
    MissingResource
        A part is absent.
    InvalidInput
        A part is of another architecture.
    """

    def __init__(
        self, *, name: str, folder: Path, space: str, defaults: Sampling, half: bool = False
    ) -> None:
        super().__init__(name=name, space=space, latent_space=None, defaults=defaults, half=half)
        from diffusers import DDPMScheduler, StableUnCLIPImg2ImgPipeline
        from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer

        parts = read_stable_diffusion(
            folder, "unet", self.device, self.dtype, class_embed_type="projection"
        )
        self.unet, self.vae = parts["unet"], parts["vae"]
        # The label is the noised embedding and an embedding of the noise level, as wide.
        width = int(self.unet.config.projection_class_embeddings_input_dim)
        self.embedding_shape = (width // 2,)
        self._prompt = empty_prompt(folder, self.device, self.dtype)
        noising = read_scheduler_config(DDPMScheduler, folder, "image_noising_scheduler")
        normalizer = read_part(
            StableUnCLIPImageNormalizer, folder / "image_normalizer", dtype=self.dtype
        )
        with quiet():
            self.pipeline = StableUnCLIPImg2ImgPipeline(
                **parts,
                feature_extractor=None,
                # Embeddings are given: of its encoder the pipeline asks device and precision alone.
                image_encoder=StableUnCLIPImageNormalizer(1).to(self.device, self.dtype),
                image_normalizer=normalizer.to(self.device),
                image_noising_scheduler=DDPMScheduler.from_config(noising),
                tokenizer=None,
                text_encoder=None,
            )
        self.pipeline.set_progress_bar_config(disable=True)
        self.pipelines = (self.pipeline,)

    def draw(
        self,
        embeddings: torch.Tensor,
        noise: list[torch.Generator],
        sampling: Sampling,
        start: torch.Tensor | None,
    ) -> torch.Tensor:
        """See :class:`~mindeye_cli.models.decoders.generator.Generator`."""
        prompt_btd = self._prompt.expand(len(embeddings), -1, -1)
        drawn = self.pipeline(
            image_embeds=embeddings,
            prompt_embeds=prompt_btd,
            negative_prompt_embeds=prompt_btd,
            guidance_scale=sampling.guidance,
            num_inference_steps=sampling.steps,
            generator=noise,
            output_type="latent",
        ).images
        return self.decode(drawn)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """See :class:`~mindeye_cli.models.decoders.generator.Generator`."""
        return decode_scaled(self.vae, latents)
