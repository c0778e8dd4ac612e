"""What all generators share: checks, both ends of strength, one noise generator a row.

diffusers neither starts from pure noise at strength 1 (the initial latent leaks through
sqrt(alpha_bar)) nor accepts strength 0, so both ends are handled here, once for all of them.

Shapes: `B` batch, `T` tokens, `D` width, `C h w` a latent, `H W` a picture.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mindeye_cli.models.decoders.base import Floats, Sampling
from mindeye_cli.models.decoders.latents import to_pictures
from mindeye_cli.models.decoders.noise import SinglePrecisionNoise
from mindeye_cli.models.diffusers_files import quiet
from mindeye_cli.models.running import pick_device
from mindeye_store.errors import InvalidInput


class Generator(ABC):
    """Base of the decoders over diffusers' pipelines.

    Parameters
    ----------
    name : str
        The decoder's name, for records.
    space : str
    latent_space : str or None
        None where no initial latent is taken.
    defaults : Sampling
    half : bool
        Run the UNet in float16 where there is an accelerator. A VAE stays in float32, so that
        strength 0 is the low-level picture to the bit and bright pictures do not overflow;
        Kandinsky's movq does not.
    """

    embedding_shape: tuple[int, ...]
    latent_shape: tuple[int, ...] | None = None
    # Set by the subclass: they share their parts.
    pipelines: tuple[Any, ...] = ()
    slices_attention = True

    def __init__(
        self, *, name: str, space: str, latent_space: str | None, defaults: Sampling, half: bool
    ) -> None:
        self.name = name
        self.space = space
        self.latent_space = latent_space
        self.defaults = defaults
        self.device = pick_device()
        self.dtype = torch.float16 if half and self.device.type == "cuda" else torch.float32

    @abstractmethod
    def draw(
        self,
        embeddings: torch.Tensor,
        noise: list[torch.Generator],
        sampling: Sampling,
        start: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return (B, 3, H, W) in [-1, 1]; `start` None asks for pure noise."""

    @abstractmethod
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the pictures of scaled initial latents, (B, 3, H, W) in [-1, 1]."""

    @torch.inference_mode()
    def generate(
        self, embeddings: Floats, seeds: Sequence[int], sampling: Sampling, latents: Floats | None
    ) -> Floats:
        """See :class:`~mindeye_cli.models.decoders.base.Decoder`."""
        rows = self._checked(embeddings, seeds, latents)
        if latents is not None and sampling.steps_run == 0:
            return self.decode_latents(latents)
        # On the CPU and in float32, so that a seed means the same noise on every machine.
        noise = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
        start = None if latents is None or sampling.strength >= 1.0 else self.tensor(latents)
        with quiet(), SinglePrecisionNoise():
            return to_pictures(self.draw(self.tensor(rows), noise, sampling, start))

    @torch.inference_mode()
    def decode_latents(self, latents: Floats) -> Floats:
        """See :class:`~mindeye_cli.models.decoders.base.Decoder`."""
        # Not rounded to half precision: the low-level picture itself is asked for.
        whole = torch.from_numpy(np.ascontiguousarray(latents, dtype=np.float32))
        return to_pictures(self.decode(whole.to(self.device)))

    def save_memory(self, *, offload: bool = False, slicing: bool = False) -> None:
        """See :class:`~mindeye_cli.models.decoders.base.Decoder`."""
        for pipeline in self.pipelines:
            if slicing and self.slices_attention:
                pipeline.enable_attention_slicing()
            vae = getattr(pipeline, "vae", None)
            if slicing and vae is not None:
                vae.enable_slicing()
        if offload and self.device.type == "cuda":
            # The pipelines share their parts, so the hooks of one serve all.
            self.pipelines[0].enable_model_cpu_offload(device=self.device)

    def tensor(self, values: Floats) -> torch.Tensor:
        """An array on the generator's device and in its precision."""
        whole = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
        return whole.to(self.device, self.dtype)

    def _checked(self, embeddings: Floats, seeds: Sequence[int], latents: Floats | None) -> Floats:
        refuse_embedding(self.name, self.space, self.embedding_shape, embeddings.shape[1:])
        if latents is not None and self.latent_space is None:
            raise InvalidInput(
                f"decoder {self.name} takes no initial latent",
                where="--low",
                fix="leave --low out, or choose a decoder that takes one",
            )
        if latents is not None and self.latent_shape is not None:
            refuse_latent(self.name, self.latent_space, self.latent_shape, latents.shape[1:])
        if len(seeds) != len(embeddings):
            raise ValueError("one seed for each embedding is needed")
        return embeddings.reshape(len(embeddings), *self.embedding_shape)


def refuse_embedding(
    name: str, space: str, expected: tuple[int, ...], given: tuple[int, ...]
) -> None:
    """Raise InvalidInput for embeddings of another shape than the decoder takes."""
    # A pooled vector may come as a single token.
    if given not in (expected, (1, *expected)):
        raise InvalidInput(
            f"decoder {name} takes {expected} embeddings of {space}, got {given}",
            where="embeddings",
            fix=f"mindeye train high-level STORE RUN --space {space}",
        )


def refuse_latent(
    name: str, space: str | None, expected: tuple[int, ...], given: tuple[int, ...]
) -> None:
    """Raise InvalidInput for latents of another shape than the decoder takes."""
    if given != expected:
        raise InvalidInput(
            f"decoder {name} takes latents of shape {expected}, got {given}",
            where="latents",
            fix=f"mindeye train low-level STORE RUN --space {space}",
        )
