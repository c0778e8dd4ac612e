"""Whether a generator's files are all there and fit the runs, told without loading any weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindeye_cli.models.decoders.generator import refuse_embedding, refuse_latent
from mindeye_cli.models.decoders.registry import DecoderFacts, decoder_facts
from mindeye_cli.models.decoders.stable_diffusion import StableDiffusionDecoder
from mindeye_store.errors import InvalidInput, MissingResource

_NETWORKS = ("unet", "image_unet", "vae", "movq")
_WEIGHTS = (".safetensors", ".bin")


def check_fit(
    name: str,
    files: Mapping[str, Path],
    embedding: tuple[int, ...],
    latent: tuple[int, ...] | None,
) -> None:
    """Check a generator before anything is computed for it.

    Parameters
    ----------
    name : str
        A key of `DECODERS`.
    files : mapping of str to Path
        Its files by their names in the folder.
    embedding, latent : tuple of int
        Shapes that the runs predict; no latent where there is no low-level run.

    Raises
    ------
    MissingResource
        A part, or a file of its weights, is absent.
    InvalidInput
        The UNet takes embeddings or latents of another shape.
    """
    facts = decoder_facts(name)
    for part in facts.parts:
        # A decoder with a movq takes the VAE of the latents from elsewhere.
        if part != "vae" or "movq" not in facts.parts:
            _check_part(part, files)
    if isinstance(facts.build, type) and issubclass(facts.build, StableDiffusionDecoder):
        _check_shapes(name, facts, files, embedding, latent)


def _check_part(part: str, files: Mapping[str, Path]) -> None:
    own = {key: path for key, path in files.items() if key == part or key.startswith(f"{part}/")}
    key, path = next(iter(files.items()))
    root = path.parents[key.count("/")]
    wanted = [f"{part}/config.json"] if part in _NETWORKS else []
    if part in _NETWORKS and not any(path.suffix in _WEIGHTS for path in own.values()):
        wanted.append(f"{part}/diffusion_pytorch_model.safetensors")
    for key, path in own.items():
        if key.endswith(".index.json"):
            wanted += [f"{part}/{shard}" for shard in _read(path).get("weight_map", {}).values()]
    lacking = [key for key in wanted if key not in files] or ([] if own else [part])
    if lacking:
        raise MissingResource(
            f"the generator lacks {lacking[0]}",
            where=str(root),
            fix="give --weights a folder in diffusers' layout (docs/decoders.md)",
        )


def _check_shapes(
    name: str,
    facts: DecoderFacts,
    files: Mapping[str, Path],
    embedding: tuple[int, ...],
    latent: tuple[int, ...] | None,
) -> None:
    options = dict(facts.options)
    config = _read(files[f"{options.get('unet', 'unet')}/config.json"])
    # An adapter brings its own width.
    if "tokens" in options and isinstance(width := config.get("cross_attention_dim"), int):
        expected = (width,) if options["tokens"] is None else (options["tokens"], width)
        refuse_embedding(name, facts.space, expected, embedding)
    side, channels = config.get("sample_size"), config.get("in_channels")
    if latent is not None and isinstance(side, int) and isinstance(channels, int):
        refuse_latent(name, facts.latent_space, (channels, side, side), latent)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise InvalidInput(f"not a configuration: {problem}", where=str(path)) from problem
    if not isinstance(found, dict):
        raise InvalidInput("not a configuration", where=str(path))
    return found
