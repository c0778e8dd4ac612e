"""Decoder over any folder in Stable Diffusion's layout whose UNet attends to image tokens.

The text encoder's place is taken by the tokens themselves (`prompt_embeds`); the unconditional
context is all zeros (MindEye, 2023, section 3.4, and its published code). diffusers neither starts
from pure noise at strength 1 (the initial latent leaks through sqrt(alpha_bar)) nor accepts
strength 0, so both ends are handled here.

Shapes: `B` batch, `T` tokens, `D` width, `C h w` a latent, `H W` a picture.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mindeye_cli.core.fingerprint import of_state_dict
from mindeye_cli.models.decoders.base import Floats, Sampling
from mindeye_cli.models.decoders.latents import vae_pictures
from mindeye_store.errors import InvalidInput, MissingResource

# The parts of a text-to-image folder that image tokens make superfluous.
UNUSED_PARTS: dict[str, Any] = {
    "text_encoder": None,
    "tokenizer": None,
    "safety_checker": None,
    "feature_extractor": None,
    "image_encoder": None,
}


class StableDiffusionDecoder:
    """Pictures from image tokens through diffusers' Stable Diffusion pipelines.

    Parameters
    ----------
    name : str
        The decoder's name, for records.
    folder : Path
        SD-layout folder: `model_index.json`, `unet/`, `vae/`, `scheduler/`.
    space, latent_space : str
        The SPACE of the tokens, and the one of the initial latents.
    tokens : int
        `T`, the number of tokens that the UNet was trained with.
    defaults : Sampling
        Steps, guidance and strength used when the caller names none.

    Raises
    ------
    MissingResource
        The folder or one of its parts is absent.
    """

    def __init__(
        self,
        *,
        name: str,
        folder: Path,
        space: str,
        latent_space: str,
        tokens: int,
        defaults: Sampling,
    ) -> None:
        self.name = name
        self.space = space
        self.latent_space: str | None = latent_space
        self.defaults = defaults
        self._text_to_image, self._image_to_image = _load_pipelines(folder)
        unet, vae = self._text_to_image.unet, self._text_to_image.vae
        self.embedding_shape: tuple[int, ...] = (tokens, int(unet.config.cross_attention_dim))
        side = int(unet.config.sample_size)
        self.latent_shape = (int(unet.config.in_channels), side, side)
        self.fingerprint = of_state_dict({**unet.state_dict(), **_prefixed("vae.", vae)})

    @torch.inference_mode()
    def generate(
        self, embeddings: Floats, seeds: Sequence[int], sampling: Sampling, latents: Floats | None
    ) -> Floats:
        """See :class:`~mindeye_cli.models.decoders.base.Decoder`."""
        self._check(embeddings, seeds, latents)
        if latents is not None and _steps_run(sampling) == 0:
            return self.decode_latents(latents)
        tokens_btd = torch.from_numpy(np.ascontiguousarray(embeddings, dtype=np.float32))
        noise = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
        arguments: dict[str, Any] = {
            "prompt_embeds": tokens_btd,
            "negative_prompt_embeds": torch.zeros_like(tokens_btd),
            "guidance_scale": sampling.guidance,
            "num_inference_steps": sampling.steps,
            "generator": noise,
            "output_type": "latent",
        }
        with _third_party_warnings():
            if latents is None or sampling.strength >= 1.0:
                side = self.latent_shape[1] * self._text_to_image.vae_scale_factor
                drawn = self._text_to_image(height=side, width=side, **arguments).images
            else:
                start = torch.from_numpy(np.ascontiguousarray(latents, dtype=np.float32))
                drawn = self._image_to_image(
                    image=start, strength=sampling.strength, **arguments
                ).images
        return vae_pictures(self._text_to_image.vae, drawn)

    @torch.inference_mode()
    def decode_latents(self, latents: Floats) -> Floats:
        """See :class:`~mindeye_cli.models.decoders.base.Decoder`."""
        scaled = torch.from_numpy(np.ascontiguousarray(latents, dtype=np.float32))
        return vae_pictures(self._text_to_image.vae, scaled)

    def _check(self, embeddings: Floats, seeds: Sequence[int], latents: Floats | None) -> None:
        if embeddings.shape[1:] != self.embedding_shape:
            raise InvalidInput(
                f"decoder {self.name} takes {self.embedding_shape} embeddings of {self.space},"
                f" got {embeddings.shape[1:]}",
                where="embeddings",
                fix=f"train a run with --space {self.space}",
            )
        if latents is not None and latents.shape[1:] != self.latent_shape:
            raise InvalidInput(
                f"decoder {self.name} takes latents of shape {self.latent_shape},"
                f" got {latents.shape[1:]}",
                where="latents",
                fix=f"train a low-level run with --space {self.latent_space}",
            )
        if len(seeds) != len(embeddings):
            raise ValueError("one seed for each embedding is needed")


def _steps_run(sampling: Sampling) -> int:
    """Number of denoising steps that diffusers would run at this strength."""
    return int(sampling.steps * sampling.strength)


def _load_pipelines(folder: Path) -> tuple[Any, Any]:
    if not (folder / "model_index.json").is_file():
        raise MissingResource(
            "no generator in Stable Diffusion's layout",
            where=str(folder / "model_index.json"),
            fix="give --weights a folder with model_index.json, unet/, vae/ and scheduler/",
        )
    from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
    from diffusers.utils import logging as diffusers_logging

    # Its bars would mix with ours on stderr.
    diffusers_logging.disable_progress_bar()
    with _third_party_warnings():
        text_to_image = StableDiffusionPipeline.from_pretrained(
            str(folder),
            local_files_only=True,
            dtype=torch.float32,
            requires_safety_checker=False,
            **UNUSED_PARTS,
        )
        image_to_image = StableDiffusionImg2ImgPipeline(
            **text_to_image.components, requires_safety_checker=False
        )
    for pipeline in (text_to_image, image_to_image):
        pipeline.set_progress_bar_config(disable=True)
    text_to_image.unet.eval()
    text_to_image.vae.eval()
    return text_to_image, image_to_image


def _prefixed(prefix: str, module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {prefix + key: value for key, value in module.state_dict().items()}


@contextmanager
def _third_party_warnings() -> Iterator[None]:
    """Silence the one message that numpy 2.4 draws from diffusers' schedulers."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*__array__.*", category=DeprecationWarning)
        yield
