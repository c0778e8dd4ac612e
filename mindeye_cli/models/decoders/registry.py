"""Decoders by name: which generator a name stands for, the SPACE it takes, its usual settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mindeye_cli.models.decoders.base import Decoder, Sampling
from mindeye_cli.models.decoders.stable_diffusion import StableDiffusionDecoder
from mindeye_store.errors import UsageProblem

BUILT_IN = Path(__file__).resolve().parents[2] / "weights" / "scene-generator"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderFacts:
    """What is known of a decoder before its weights are loaded."""

    space: str
    latent_space: str
    tokens: int
    defaults: Sampling


# Guidance was chosen on held-out scenes (docs/built-in-models.md); the strength is the published
# one, looked at on validation images by `benchmarks/strength.py` (docs/reconstruction.md).
DECODERS = {
    "scene": DecoderFacts(
        space="scene-clip:tokens",
        latent_space="scene-vae",
        tokens=17,
        defaults=Sampling(steps=20, guidance=3.5, strength=0.85),
    ),
}


def decoder_facts(name: str) -> DecoderFacts:
    """Look a decoder up.

    Raises
    ------
    UsageProblem
        No decoder has this name.
    """
    if name not in DECODERS:
        known = ", ".join(DECODERS)
        raise UsageProblem(f"unknown decoder {name!r}", where="--decoder", fix=f"one of {known}")
    return DECODERS[name]


def load_decoder(name: str, weights: Path | None = None) -> Decoder:
    """Load a generator by name.

    Parameters
    ----------
    name : str
        A key of `DECODERS`.
    weights : Path, optional
        A local folder in the decoder's layout instead of the built-in or cached one.

    Raises
    ------
    UsageProblem
        No decoder has this name.
    MissingResource
        Its weights are not on this machine.
    """
    facts = decoder_facts(name)
    return StableDiffusionDecoder(
        name=name,
        folder=weights or BUILT_IN,
        space=facts.space,
        latent_space=facts.latent_space,
        tokens=facts.tokens,
        defaults=facts.defaults,
    )
