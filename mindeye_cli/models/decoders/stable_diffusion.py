"""Decoder over any folder in Stable Diffusion's layout whose UNet attends to image tokens.

The text encoder's place is taken by the tokens themselves (`prompt_embeds`); the unconditional
context is all zeros (MindEye, 2023, section 3.4, and its published code). Versatile Diffusion is
such a folder: its published reconstructions mix in none of the text branch, so the image UNet
under the name `image_unet`, the VAE and the scheduler are all that is needed.

Shapes: `B` batch, `T` tokens, `D` width, `C h w` a latent, `H W` a picture.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mindeye_cli.models.decoders.base import Sampling
from mindeye_cli.models.decoders.generator import Generator
from mindeye_cli.models.decoders.latents import decode_scaled
from mindeye_cli.models.diffusers_files import one_line, quiet, read_part, refuse_conditions
from mindeye_store.errors import InvalidInput, MissingResource

# The parts of a text-to-image pipeline that image tokens make superfluous.
NO_TEXT: dict[str, Any] = {
    "text_encoder": None,
    "tokenizer": None,
    "safety_checker": None,
    "feature_extractor": None,
    "requires_safety_checker": False,
}
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_DEVIATION = (0.26862954, 0.26130258, 0.27577711)


class StableDiffusionDecoder(Generator):
    """Pictures from image tokens through diffusers' Stable Diffusion pipelines.

    Parameters
    ----------
    name : str
        The decoder's name, for records.
    folder : Path
        Holds `model_index.json`, the UNet, `vae/` and `scheduler/`.
    space, latent_space : str
        The SPACE of the tokens, and the one of the initial latents.
    tokens : int or None
        `T`, the number of tokens that the UNet was trained with; None for one pooled vector.
    defaults : Sampling
        Steps, guidance and strength used when the caller names none.
    unet : str
        The UNet's folder.
    published_start : bool
        Start from the low-level picture normalised by CLIP's statistics and encoded again, as
        MindEye's published code does by mistake, instead of from the latent.
    half : bool
        Run the UNet in float16 where there is an accelerator.

    Raises
    ------
    MissingResource
        The folder or one of its parts is absent.
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
        tokens: int | None,
        defaults: Sampling,
        unet: str = "unet",
        published_start: bool = False,
        half: bool = False,
    ) -> None:
        super().__init__(
            name=name, space=space, latent_space=latent_space, defaults=defaults, half=half
        )
        from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline

        parts = read_stable_diffusion(folder, unet, self.device, self.dtype)
        with quiet():
            self.from_noise = StableDiffusionPipeline(**parts, **NO_TEXT)
            self.from_latents = StableDiffusionImg2ImgPipeline(**parts, **NO_TEXT)
        self.pipelines = (self.from_noise, self.from_latents)
        for pipeline in self.pipelines:
            pipeline.set_progress_bar_config(disable=True)
        self.unet, self.vae = parts["unet"], parts["vae"]
        self.published_start = published_start
        width = int(self.unet.config.cross_attention_dim)
        self.embedding_shape = (width,) if tokens is None else (tokens, width)
        side = int(self.unet.config.sample_size)
        self.latent_shape = (int(self.unet.config.in_channels), side, side)

    def context(self, embeddings: torch.Tensor, guidance: float) -> dict[str, Any]:
        """The pipelines' arguments that carry the embeddings, (B, T, D) or (B, D)."""
        tokens_btd = embeddings if embeddings.ndim == 3 else embeddings[:, None]
        return {"prompt_embeds": tokens_btd, "negative_prompt_embeds": torch.zeros_like(tokens_btd)}

    def draw(
        self,
        embeddings: torch.Tensor,
        noise: list[torch.Generator],
        sampling: Sampling,
        start: torch.Tensor | None,
    ) -> torch.Tensor:
        """See :class:`~mindeye_cli.models.decoders.generator.Generator`."""
        arguments: dict[str, Any] = {
            **self.context(embeddings, sampling.guidance),
            "guidance_scale": sampling.guidance,
            "num_inference_steps": sampling.steps,
            "generator": noise,
            "output_type": "latent",
        }
        if start is None:
            side = int(self.unet.config.sample_size) * self.from_noise.vae_scale_factor
            drawn = self.from_noise(height=side, width=side, **arguments).images
        else:
            if self.published_start:
                start = self._as_published(start, noise)
            drawn = self.from_latents(image=start, strength=sampling.strength, **arguments).images
        return self.decode(drawn)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """See :class:`~mindeye_cli.models.decoders.generator.Generator`."""
        return decode_scaled(self.vae, latents)

    def _as_published(self, latents: torch.Tensor, noise: list[torch.Generator]) -> torch.Tensor:
        """The published start: its picture in CLIP's statistics, encoded, a posterior sample."""
        pictures = self.decode(latents) / 2 + 0.5
        mean, deviation = (
            pictures.new_tensor(values).view(1, 3, 1, 1) for values in (CLIP_MEAN, CLIP_DEVIATION)
        )
        posterior = self.vae.encode((pictures - mean) / deviation).latent_dist
        sampled: torch.Tensor = posterior.sample(noise) * self.vae.config.scaling_factor
        return sampled.to(self.dtype)


def read_stable_diffusion(
    folder: Path, unet: str, device: torch.device, dtype: torch.dtype, **conditions: str
) -> dict[str, Any]:
    """UNet in `dtype`, VAE in float32 and a UniPC scheduler of a folder, ready for a pipeline.

    `conditions` are those of the UNet beside its cross-attention, as in its configuration.

    Raises
    ------
    MissingResource
        The folder or one of its parts is absent.
    InvalidInput
        A part is of another architecture.
    """
    if not (folder / "model_index.json").is_file():
        raise MissingResource(
            "no generator in diffusers' layout",
            where=str(folder / "model_index.json"),
            fix=f"give --weights a folder with model_index.json, {unet}/, vae/ and scheduler/",
        )
    from diffusers import AutoencoderKL, UNet2DConditionModel

    network = read_part(UNet2DConditionModel, folder / unet, dtype=dtype).to(device)
    refuse_conditions(network, folder / unet, **conditions)
    return {
        "unet": network,
        "vae": read_part(AutoencoderKL, folder / "vae").to(device),
        "scheduler": read_unipc(folder),
    }


def read_unipc(folder: Path) -> Any:
    """A UniPC multistep scheduler on the noise schedule that the folder was trained with.

    Time steps are spaced as in the published reconstructions (999, 949, ... for 20 steps), whatever
    the sampler that the folder names.
    """
    from diffusers import UniPCMultistepScheduler

    config = read_scheduler_config(UniPCMultistepScheduler, folder)
    # Pipelines warn of any other value of these two, which UniPC does not use.
    config |= {"steps_offset": 1, **({"clip_sample": False} if "clip_sample" in config else {})}
    return UniPCMultistepScheduler.from_config({**config, "timestep_spacing": "linspace"})


def read_scheduler_config(kind: Any, folder: Path, part: str = "scheduler") -> dict[str, Any]:
    """The configuration in a folder's `scheduler/`.

    Raises
    ------
    MissingResource
        There is none.
    InvalidInput
        It cannot be read.
    """
    file = folder / part / "scheduler_config.json"
    if not file.is_file():
        raise MissingResource(
            "the noise schedule is absent",
            where=str(file),
            fix="give --weights a folder in diffusers' layout with this part in it",
        )
    try:
        return dict(kind.load_config(str(file.parent), local_files_only=True))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"not a scheduler: {one_line(error)}", where=str(file)) from error
