"""Loading the image tower of an open_clip model from a file, the cache, or a download."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindeye_cli.models.encoders.cache import Repository, cached_folder
from mindeye_cli.models.torch_file import read_torch_file
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem

# open_clip's names of a checkpoint in a repository, the safe format first.
CHECKPOINTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
SIZES = {"ViT-L-14-quickgelu": "1.7 GB"}
_VISUAL = "visual."
# The image tower does not depend on the text tower, and some of those want a download to be built.
_NO_TEXT = {"context_length": 1, "vocab_size": 1, "width": 8, "heads": 1, "layers": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedClip:
    """An image tower in float32 and evaluation mode, and the input that it was trained on.

    Attributes
    ----------
    visual : torch.nn.Module
    side : int
    mean, std : tuple of float
    interpolation, fit : str
        open_clip's names; `fit` is `shortest` (shorter side to `side`, middle square) or `squash`.
    """

    visual: Any
    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str
    fit: str


def load_clip(model: str, pretrained: str, weights: Path | None) -> LoadedClip:
    """Build the model's image tower and load its weights strictly.

    Parameters
    ----------
    model, pretrained : str
        open_clip's names.
    weights : Path, optional
        A checkpoint file, or a folder that holds one; the tag is then only a name.

    Raises
    ------
    UsageProblem
        open_clip has no such model or tag.
    MissingResource
        The weights are absent.
    InvalidInput
        The weights are damaged or of another model.
    """
    import open_clip

    settings, path = find_checkpoint(model, pretrained, weights)
    visual = _strict(_build(model, bool(settings.get("quick_gelu", False))), model, path)
    size = visual.image_size
    sides = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if sides[0] != sides[1]:
        raise UsageProblem(f"{model} reads pictures of {sides}, not squares", where="--space")
    return LoadedClip(
        visual=visual.eval().requires_grad_(False),
        side=int(sides[0]),
        mean=tuple(settings.get("mean") or open_clip.OPENAI_DATASET_MEAN),
        std=tuple(settings.get("std") or open_clip.OPENAI_DATASET_STD),
        interpolation=str(settings.get("interpolation") or "bicubic"),
        fit=str(settings.get("resize_mode") or "shortest"),
    )


def find_checkpoint(
    model: str, pretrained: str, weights: Path | None
) -> tuple[dict[str, Any], Path]:
    """open_clip's settings of a tag, and the file of its weights; raises as `load_clip`."""
    import open_clip

    known = open_clip.list_models()
    if model not in known:
        near = difflib.get_close_matches(model, known, n=1)
        raise UsageProblem(
            f"open_clip has no model {model!r}",
            where="--space",
            fix=f"did you mean {near[0]}?" if near else "see open_clip.list_models()",
        )
    settings: dict[str, Any] = open_clip.get_pretrained_cfg(model, pretrained)
    path = _local(weights) if weights is not None else _published(model, pretrained, settings)
    return settings, path


def _build(model: str, quick_gelu: bool) -> Any:
    """The whole model with a text tower of nothing; without pretrained parts."""
    import open_clip

    config = open_clip.get_model_config(model)
    vision = {**config["vision_cfg"], "timm_model_pretrained": False}
    return open_clip.CustomTextCLIP(
        embed_dim=config["embed_dim"],
        vision_cfg=vision,
        text_cfg=open_clip.CLIPTextCfg(**_NO_TEXT),
        quick_gelu=bool(config.get("quick_gelu", False)) or quick_gelu,
    )


def _strict(network: Any, model: str, path: Path) -> Any:
    """The image tower with a checkpoint's weights: all of them, and no others."""
    from open_clip.convert import convert_state_dict

    state = read_state(path)
    try:
        state = convert_state_dict(network, state)
        own = {key[len(_VISUAL) :]: state[key] for key in state if key.startswith(_VISUAL)}
        if not own:
            raise KeyError(f"no weights are named {_VISUAL}*")
        network.visual.load_state_dict(own, strict=True)
    except (RuntimeError, KeyError, AttributeError, TypeError) as error:
        raise InvalidInput(f"not weights of {model}: {_reason(error)}", where=str(path)) from error
    return network.visual


def read_state(path: Path) -> dict[str, Any]:
    """Tensors by name; a training checkpoint has them inside, and DDP writes a prefix."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise InvalidInput(f"not safetensors: {_reason(error)}", where=str(path)) from error
    saved = read_torch_file(path)
    if isinstance(saved, dict):
        saved = saved.get("state_dict", saved)
    if not isinstance(saved, dict) or not all(isinstance(key, str) for key in saved):
        raise InvalidInput("the file holds no tensors by name", where=str(path))
    return {key.removeprefix("module."): value for key, value in saved.items()}


def _reason(error: Exception) -> str:
    """The message in one line; torch lists wrong keys and sizes on lines of their own."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return " ".join(lines[:2])[:300].rstrip(":")


def _local(weights: Path) -> Path:
    if weights.is_dir():
        found = [weights / name for name in CHECKPOINTS if (weights / name).is_file()]
        if not found:
            raise MissingResource(
                "no open_clip checkpoint in the folder",
                where=str(weights),
                fix=f"it must hold {' or '.join(CHECKPOINTS)}; or name the file itself",
            )
        return found[0]
    if not weights.is_file():
        raise MissingResource("the weights are missing", where=str(weights))
    return weights


def _published(model: str, pretrained: str, settings: dict[str, Any]) -> Path:
    """The checkpoint in the cache of Hugging Face repositories."""
    import open_clip

    if not settings:
        tags = open_clip.list_pretrained_tags_by_model(model)
        raise UsageProblem(
            f"open_clip has no weights {pretrained!r} for {model}",
            where="--space",
            fix=(f"tags are {', '.join(tags)}; or " if tags else "") + "give --weights PATH",
        )
    repository, _, file = settings.get("hf_hub", "").rpartition("/")
    if not repository:
        raise MissingResource(
            f"the weights {pretrained!r} of {model} are not on Hugging Face",
            where=str(settings.get("url", "")),
            fix="download them yourself and give --weights PATH",
        )
    size = SIZES.get(model, "its size is on its page")
    names = (file,) if file else CHECKPOINTS
    for name in names[:-1]:
        try:
            return cached_folder(_one(repository, name, size)) / name
        except MissingResource:
            continue
    return cached_folder(_one(repository, names[-1], size)) / names[-1]


def _one(repository: str, name: str, size: str) -> Repository:
    return Repository(name=repository, revision=None, files=(name,), size=size)
