"""Loading decoders: from a local folder, the built-in one, or the cache of published ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mindeye_cli.models.decoders.base import Decoder
from mindeye_cli.models.decoders.ip_adapter import ADAPTER
from mindeye_cli.models.decoders.latents import LatentDecoder, vae_folder
from mindeye_cli.models.decoders.registry import (
    BUILT_IN,
    DECODERS,
    WITHOUT_GENERATOR,
    DecoderFacts,
    decoder_facts,
)
from mindeye_cli.models.encoders.cache import cached_folder
from mindeye_store.errors import MissingResource, UsageProblem

_READ = (".json", ".txt", ".safetensors", ".bin")
_NO_WEIGHTS = {
    "latent-rgb": "decoder latent-rgb reads no weights: it is fitted on training images",
    "nearest": "decoder nearest reads no weights: it copies pictures (others' with --index)",
}


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
        No generator has this name.
    MissingResource
        Its weights are not on this machine and may not or cannot be downloaded.
    InvalidInput
        They are of another architecture.
    """
    facts = decoder_facts(name)
    folders = _folders(facts, weights)
    given: dict[str, Any] = {
        "name": name,
        "folder": folders[0],
        "space": facts.space,
        "defaults": facts.defaults,
        **dict(facts.options),
    }
    if facts.latent_space is not None:
        given["latent_space"] = facts.latent_space
    if ADAPTER in facts.parts:
        given["adapter"] = folders[-1] / ADAPTER
    decoder: Decoder = facts.build(**given)
    return decoder


def load_latent_decoder(name: str, space: str, weights: Path | None = None) -> LatentDecoder:
    """Load what turns low-level latents into pictures beside a decoder.

    Parameters
    ----------
    name : str
        A generator's own VAE is taken where it has one; `low-level` takes the SPACE's.
    space : str
        SPACE of the latents.
    weights : Path, optional
        As of :func:`load_decoder`, or a VAE.

    Raises
    ------
    MissingResource
        There is no VAE for them on this machine.
    InvalidInput
        It is of another architecture.
    """
    return LatentDecoder(space, _vae_source(name, weights))


def decoder_files(
    name: str, weights: Path | None = None, space: str | None = None
) -> dict[str, Path]:
    """List the files that a decoder is read from.

    Parameters
    ----------
    name : str
        Any decoder, with or without a generator.
    weights : Path, optional
    space : str, optional
        SPACE of the latents, for `low-level`.

    Returns
    -------
    dict
        Path by its name in the folder; empty for decoders that read no weights.

    Raises
    ------
    MissingResource
        There are none.
    UsageProblem
        The decoder reads no weights, and some were given.
    """
    if name in WITHOUT_GENERATOR and name != "low-level":
        if weights is not None:
            raise UsageProblem(_NO_WEIGHTS[name], where="--weights", fix="leave --weights out")
        return {}
    if name == "low-level":
        folder = vae_folder(str(space), weights)
        sources = [(folder.parent, folder)]
    else:
        facts = decoder_facts(name)
        sources = [
            (folder, folder / part)
            for folder in dict.fromkeys(_folders(facts, weights))
            for part in facts.parts
        ]
    files: dict[str, Path] = {}
    for folder, part in sources:
        found = sorted(part.iterdir()) if part.is_dir() else [part]
        kept = [path for path in found if path.is_file() and path.suffix in _READ]
        files |= {path.relative_to(folder).as_posix(): path for path in kept}
    if not files:
        raise MissingResource(
            f"no weights of decoder {name}",
            where=str(weights or sources[0][0]),
            fix="give --weights a folder in diffusers' layout (docs/decoders.md)",
        )
    return files


def _folders(facts: DecoderFacts, weights: Path | None) -> tuple[Path, ...]:
    if weights is not None:
        return (weights,)
    if not facts.repositories:
        return (BUILT_IN,)
    return tuple(cached_folder(repository) for repository in facts.repositories)


def _vae_source(name: str, weights: Path | None) -> Path | None:
    """Where the VAE is looked for; None for the latent SPACE's own."""
    if name not in DECODERS:
        return weights
    facts = DECODERS[name]
    own = "vae" in facts.parts
    if weights is None and own and "movq" not in facts.parts:
        return _folders(facts, None)[0]
    # A decoder with latents of another kind may have the VAE of the low-level run beside it.
    if weights is not None and not (weights / "vae").is_dir() and "movq" in facts.parts:
        return None
    return weights
