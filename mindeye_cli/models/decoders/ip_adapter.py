"""Decoder over Stable Diffusion 1.5 with an IP-Adapter that reads a pooled image embedding.

Shapes: `B` batch, `T` text tokens, `D` width of the image embedding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from mindeye_cli.models.decoders.base import Sampling
from mindeye_cli.models.decoders.empty_prompt import empty_prompt
from mindeye_cli.models.decoders.stable_diffusion import StableDiffusionDecoder
from mindeye_cli.models.diffusers_files import one_line, quiet, refuse_keys
from mindeye_store.errors import InvalidInput, MissingResource

ADAPTER = "models/ip-adapter_sd15.safetensors"
_PROJECTION = ("proj.weight", "proj.bias", "norm.weight", "norm.bias")


class IPAdapterDecoder(StableDiffusionDecoder):
    """Pictures from a pooled vector beside an empty prompt.

    Parameters
    ----------
    name, folder, space, latent_space, defaults, half
        As of :class:`StableDiffusionDecoder`; the folder also holds `tokenizer/` and
        `text_encoder/`.
    adapter : Path
        The adapter's weights, `ip-adapter_sd15.safetensors`.

    Raises
    ------
    MissingResource
        A part or the adapter is absent.
    InvalidInput
        A part is of another architecture, or the adapter of another kind.
    """

    # Sliced attention would take the place of the adapter's own.
    slices_attention = False

    def __init__(
        self,
        *,
        name: str,
        folder: Path,
        adapter: Path,
        space: str,
        latent_space: str,
        defaults: Sampling,
        half: bool = False,
    ) -> None:
        super().__init__(
            name=name,
            folder=folder,
            space=space,
            latent_space=latent_space,
            tokens=None,
            defaults=defaults,
            half=half,
        )
        crossings = sum(key.endswith("attn2.processor") for key in self.unet.attn_processors)
        self.embedding_shape = (_embedding_width(adapter, crossings),)
        self._prompt = empty_prompt(folder, self.device, self.dtype)
        try:
            with quiet():
                self.from_noise.load_ip_adapter(
                    str(adapter.parent),
                    subfolder="",
                    weight_name=adapter.name,
                    image_encoder_folder=None,
                    local_files_only=True,
                    # The other way of loading passes over weights that are absent.
                    low_cpu_mem_usage=False,
                )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise InvalidInput(
                f"an adapter that does not fit this UNet: {one_line(error)}", where=str(adapter)
            ) from error
        for pipeline in self.pipelines:
            pipeline.prepare_ip_adapter_image_embeds = _as_given

    def context(self, embeddings: torch.Tensor, guidance: float) -> dict[str, Any]:
        """See :class:`StableDiffusionDecoder`; the unconditional embedding is all zeros."""
        image_b1d = embeddings[:, None]
        prompt_btd = self._prompt.expand(len(embeddings), -1, -1)
        if guidance > 1:
            image_b1d = torch.cat([torch.zeros_like(image_b1d), image_b1d])
        return {
            "prompt_embeds": prompt_btd,
            "negative_prompt_embeds": prompt_btd,
            "ip_adapter_image_embeds": [image_b1d],
        }


def _as_given(image: None, embeddings: list[torch.Tensor], *_: Any) -> list[torch.Tensor]:
    """One embedding a row: diffusers would give every row the embeddings of the whole batch."""
    return embeddings


def _embedding_width(adapter: Path, crossings: int) -> int:
    """`D` of an adapter whose weights are those that this UNet needs, and no others."""
    if not adapter.is_file():
        raise MissingResource(
            "the adapter is absent",
            where=str(adapter),
            fix=f"the folder of --weights needs {ADAPTER}",
        )
    try:
        with safe_open(adapter, framework="pt") as file:
            found = set(file.keys())
            # diffusers numbers the cross-attentions 1, 3, 5, ...
            wanted = {
                f"ip_adapter.{2 * k + 1}.to_{what}_ip.weight"
                for k in range(crossings)
                for what in "kv"
            } | {f"image_proj.{key}" for key in _PROJECTION}
            refuse_keys(wanted - found, found - wanted, adapter)
            return int(file.get_slice("image_proj.proj.weight").get_shape()[1])
    except (SafetensorError, OSError) as error:
        raise InvalidInput(f"not safetensors: {one_line(error)}", where=str(adapter)) from error
