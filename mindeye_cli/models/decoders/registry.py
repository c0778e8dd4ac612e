"""Decoders by name: which generator a name stands for, the SPACE it takes, its usual settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mindeye_cli.models.decoders.base import Sampling
from mindeye_cli.models.decoders.ip_adapter import ADAPTER, IPAdapterDecoder
from mindeye_cli.models.decoders.kandinsky import KandinskyDecoder
from mindeye_cli.models.decoders.stable_diffusion import StableDiffusionDecoder
from mindeye_cli.models.decoders.stable_unclip import StableUnclipDecoder
from mindeye_cli.models.encoders.cache import Repository
from mindeye_store.errors import UsageProblem

BUILT_IN = Path(__file__).resolve().parents[2] / "weights" / "scene-generator"
# Decoders that need no generator, and so are not loaded here.
WITHOUT_GENERATOR = ("low-level", "latent-rgb", "nearest")
# Not the copies in float16 or without moving averages that some repositories hold beside them.
_WEIGHTS = "diffusion_pytorch_model.[bs]*"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderFacts:
    """What is known of a decoder before its weights are loaded.

    Attributes
    ----------
    space : str
    latent_space : str or None
        None where no initial latent is taken.
    defaults : Sampling
    parts : tuple of str
        What is read in a folder of it.
    repositories : tuple of Repository
        Where it is published; empty for the built-in one.
    build : callable
        The decoder's class.
    options : tuple of (str, value)
        Further arguments of `build`.
    """

    space: str
    latent_space: str | None
    defaults: Sampling
    parts: tuple[str, ...]
    repositories: tuple[Repository, ...] = ()
    build: Callable[..., Any] = StableDiffusionDecoder
    options: tuple[tuple[str, Any], ...] = ()


def _repository(
    name: str, size: str, nets: tuple[str, ...], files: tuple[str, ...], revision: str | None = None
) -> Repository:
    patterns = [f"{net}/{file}" for net in nets for file in ("config.json", _WEIGHTS)]
    return Repository(name=name, revision=revision, files=(*patterns, *files), size=size)


_SCHEDULE = "scheduler/scheduler_config.json"
_TEXT = ("tokenizer/*", "text_encoder/config.json", "text_encoder/model.safetensors")
_IMAGE_14H = "open_clip:ViT-H-14:laion2b_s32b_b79k:pooled"
_IMAGE_BIGG = "open_clip:ViT-bigG-14:laion2b_s39b_b160k:pooled"

_VERSATILE = DecoderFacts(
    space="clip-vit-l14:tokens",
    latent_space="sd-vae",
    # Guidance, steps and strength of the published reconstructions.
    defaults=Sampling(steps=20, guidance=3.5, strength=0.85),
    parts=("image_unet", "vae", "scheduler"),
    repositories=(
        _repository(
            "shi-labs/versatile-diffusion",
            "about 3.8 GB",
            ("image_unet", "vae"),
            ("model_index.json", _SCHEDULE),
        ),
    ),
    options=(("tokens", 257), ("unet", "image_unet"), ("half", True)),
)

# Guidance of `scene` was chosen on held-out scenes (docs/built-in-models.md), its strength on
# validation images (`benchmarks/strength.py`). Those of generators that the paper did not use are
# their own pipelines' usual ones.
DECODERS = {
    "scene": DecoderFacts(
        space="scene-clip:tokens",
        latent_space="scene-vae",
        defaults=Sampling(steps=20, guidance=3.5, strength=0.7),
        parts=("unet", "vae", "scheduler"),
        options=(("tokens", 17),),
    ),
    "versatile-diffusion": _VERSATILE,
    "versatile-diffusion-published": replace(
        _VERSATILE, options=(*_VERSATILE.options, ("published_start", True))
    ),
    "sd-image-variations": DecoderFacts(
        space="clip-vit-l14:pooled",
        latent_space="sd-vae",
        defaults=Sampling(steps=20, guidance=3.0, strength=0.85),
        parts=("unet", "vae", "scheduler"),
        repositories=(
            _repository(
                "lambdalabs/sd-image-variations-diffusers",
                "about 3.8 GB",
                ("unet", "vae"),
                ("model_index.json", _SCHEDULE),
                revision="v2.0",
            ),
        ),
        options=(("tokens", None), ("half", True)),
    ),
    "stable-unclip": DecoderFacts(
        space=_IMAGE_14H,
        latent_space=None,
        defaults=Sampling(steps=20, guidance=10.0, strength=1.0),
        parts=(
            "unet",
            "vae",
            "scheduler",
            "tokenizer",
            "text_encoder",
            "image_normalizer",
            "image_noising_scheduler",
        ),
        repositories=(
            _repository(
                "sd2-community/stable-diffusion-2-1-unclip",
                "about 5.2 GB without its image encoder",
                ("unet", "vae", "image_normalizer"),
                (
                    "model_index.json",
                    _SCHEDULE,
                    *_TEXT,
                    "image_noising_scheduler/scheduler_config.json",
                ),
            ),
        ),
        build=StableUnclipDecoder,
        options=(("half", True),),
    ),
    "kandinsky-2.2": DecoderFacts(
        space=_IMAGE_BIGG,
        latent_space="sd-vae",
        defaults=Sampling(steps=50, guidance=4.0, strength=0.85),
        parts=("unet", "movq", "scheduler", "vae"),
        repositories=(
            _repository(
                "kandinsky-community/kandinsky-2-2-decoder",
                "about 5.3 GB",
                ("unet", "movq"),
                (_SCHEDULE,),
            ),
        ),
        build=KandinskyDecoder,
        options=(("half", True),),
    ),
    "ip-adapter": DecoderFacts(
        space=_IMAGE_14H,
        latent_space="sd-vae",
        defaults=Sampling(steps=20, guidance=7.5, strength=0.85),
        parts=("unet", "vae", "scheduler", "tokenizer", "text_encoder", ADAPTER),
        repositories=(
            _repository(
                "stable-diffusion-v1-5/stable-diffusion-v1-5",
                "about 4.3 GB",
                ("unet", "vae"),
                ("model_index.json", _SCHEDULE, *_TEXT),
            ),
            _repository("h94/IP-Adapter", "45 MB", (), (ADAPTER,)),
        ),
        build=IPAdapterDecoder,
        options=(("half", True),),
    ),
}


def decoder_facts(name: str) -> DecoderFacts:
    """Look a generator up.

    Raises
    ------
    UsageProblem
        No decoder has this name.
    """
    if name not in DECODERS:
        known = ", ".join((*DECODERS, *WITHOUT_GENERATOR))
        raise UsageProblem(f"unknown decoder {name!r}", where="--decoder", fix=f"one of {known}")
    return DECODERS[name]
