"""The text towers of pooled CLIP spaces: words as vectors beside the images' vectors.

Image and text vectors of a CLIP lie on two separate cones (the modality gap, Liang et al. 2022,
arXiv:2203.02053): subtract each side's own mean before they are compared.

Shapes: `B` texts, `D` width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mindeye_cli.core.scenes import BACKGROUNDS, CATEGORIES, COLOURS
from mindeye_cli.models.encoders.clip import parse_clip
from mindeye_cli.models.encoders.clip_files import find_checkpoint, read_state
from mindeye_cli.models.encoders.words import COMMON_WORDS
from mindeye_cli.models.running import pick_device
from mindeye_store.errors import InvalidInput, UsageProblem

Floats = NDArray[np.float32]
POOLED = ":pooled"
_PLACES = ("top left", "middle centre", "bottom right")
_TEXTURES = ("plain", "striped", "dotted", "checked")
_SCENE_SUBJECTS = tuple(dict.fromkeys((*CATEGORIES, *COLOURS, *_TEXTURES, *BACKGROUNDS)))
_TEMPLATES = ("a photo of a {}", "a picture of the {}", "{}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTower:
    """Texts to vectors of one SPACE.

    Attributes
    ----------
    words : tuple of str
        Its vocabulary for naming: what a vector is compared with, and whose mean is the centre.
    embed : callable
        Texts to float32 (B, D) at length 1: a word of the vocabulary is the mean over captions that
        hold it, any other text is embedded as it stands.
    """

    words: tuple[str, ...]
    embed: Callable[[Sequence[str]], Floats]


def has_text(space: str) -> bool:
    """Whether the space's images share it with text."""
    family = space.partition(":")[0]
    return space == "scene-clip:pooled" or (
        family in ("clip-vit-l14", "open_clip") and not space.endswith(":tokens")
    )


def load_text_tower(
    space: str, weights: Path | None = None, words: Sequence[str] = ()
) -> TextTower:
    """Load the text tower of a pooled CLIP space.

    Parameters
    ----------
    space : str
    weights : Path, optional
        As of `load_encoder`: the whole model's checkpoint, or scene-clip's folder.
    words : sequence of str
        Another vocabulary than the space's own.

    Raises
    ------
    UsageProblem
        The space has no text.
    MissingResource
        The weights are absent.
    InvalidInput
        They are damaged or of another model, or scene-clip does not know a word.
    """
    if not has_text(space):
        raise UsageProblem(
            f"the space {space} has no text",
            where=space,
            fix="ask by an image or an atom, or train on a pooled CLIP space such as"
            " clip-vit-l14:pooled",
        )
    if space == "scene-clip:pooled":
        return _scene_tower(weights, tuple(words) or _SCENE_SUBJECTS)
    return _clip_tower(space, weights, tuple(words) or COMMON_WORDS)


def _scene_tower(weights: Path | None, words: tuple[str, ...]) -> TextTower:
    from mindeye_cli.models.scene.clip import load_scene_clip

    model = load_scene_clip(weights).to(pick_device())

    def encode(captions: list[str]) -> Floats:
        try:
            with torch.inference_mode():
                return np.asarray(model.embed_text(captions).float().cpu().numpy())
        except ValueError as problem:
            known = ", ".join(model.tokenizer.words)
            raise UsageProblem(
                f"scene-clip does not know this: {problem}", where="XYZ", fix=f"it knows: {known}"
            ) from problem

    return _tower(words, encode, scene_captions)


def scene_captions(word: str) -> list[str]:
    """Captions in the form that scene-clip was trained on, in which `word` alone is the same."""
    category = word in CATEGORIES
    kinds = [word] if category else CATEGORIES
    colours = (
        [word] if word in COLOURS else ("red", "blue", "white", "green")[: 4 if category else 2]
    )
    textures = [word] if word in _TEXTURES else ("plain",)
    grounds = ("sky", "indoor", "tiles")[: 3 if category else 2]
    if word in BACKGROUNDS and word not in _TEXTURES:
        grounds = (word,)
    places = _PLACES if category else _PLACES[1:2]
    return [
        f"a large {colour} {texture} {kind} {place} on a brown {ground} background"
        for kind, colour, texture, ground, place in product(
            kinds, colours, textures, grounds, places
        )
    ]


def _clip_tower(space: str, weights: Path | None, words: tuple[str, ...]) -> TextTower:
    import open_clip

    name = parse_clip(space)
    settings, path = find_checkpoint(name.model, name.pretrained, weights)
    quick = bool(settings.get("quick_gelu", False))
    model: Any = open_clip.create_model(name.model, pretrained=None, force_quick_gelu=quick)
    try:
        model.load_state_dict(open_clip.convert.convert_state_dict(model, read_state(path)))
    except (RuntimeError, KeyError, AttributeError, TypeError) as problem:
        reason = str(problem).splitlines()[0]
        raise InvalidInput(f"not weights of {name.model}: {reason}", where=str(path)) from problem
    device = pick_device()
    model = model.to(device).eval().requires_grad_(False)
    tokenizer = open_clip.get_tokenizer(name.model)

    def encode(captions: list[str]) -> Floats:
        with torch.inference_mode():
            return np.asarray(model.encode_text(tokenizer(captions).to(device)).float().cpu())

    return _tower(words, encode, lambda word: [form.format(word) for form in _TEMPLATES])


def _tower(
    words: tuple[str, ...],
    encode: Callable[[list[str]], Floats],
    captions: Callable[[str], list[str]],
) -> TextTower:
    def one(text: str) -> Floats:
        rows = encode(captions(text) if text in words else [text])
        mean = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)

    return TextTower(words=words, embed=lambda texts: np.stack([one(text) for text in texts]))
