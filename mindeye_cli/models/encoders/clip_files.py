"""Loading the image tower of an open_clip model from a file, the cache, or a download."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, is_zipfile

from mindeye_cli.models.encoders.cache import Repository, cached_folder
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem

# open_clip's names of a checkpoint in a repository, the safe format first.
CHECKPOINTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_LOAD_ERRORS = (OSError, RuntimeError, ValueError, KeyError, EOFError, BadZipFile)
SIZES = {"ViT-L-14-quickgelu": "1.7 GB"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedClip:
    """An image tower in float32 and evaluation mode, and its input's side, mean and deviation."""

    visual: Any
    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def load_clip(model: str, pretrained: str, weights: Path | None) -> LoadedClip:
    """Build the model and load its weights strictly.

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
    from safetensors import SafetensorError

    known = open_clip.list_models()
    if model not in known:
        near = difflib.get_close_matches(model, known, n=1)
        raise UsageProblem(
            f"open_clip has no model {model!r}",
            where="--space",
            fix=f"did you mean {near[0]}?" if near else "see open_clip.list_models()",
        )
    settings = open_clip.get_pretrained_cfg(model, pretrained)
    path = _local(weights) if weights is not None else _published(model, pretrained, settings)
    if path.suffix != ".safetensors" and not is_zipfile(path):
        raise InvalidInput("neither a safetensors nor a torch file", where=str(path))
    try:
        network = open_clip.create_model(
            model,
            pretrained=str(path),
            precision="fp32",
            device="cpu",
            force_quick_gelu=bool(settings.get("quick_gelu", False)),
        )
    except (*_LOAD_ERRORS, SafetensorError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidInput(f"not weights of {model}: {reason}", where=str(path)) from error
    visual = network.visual.eval().requires_grad_(False)
    size = visual.image_size
    preprocess = visual.preprocess_cfg if hasattr(visual, "preprocess_cfg") else {}
    return LoadedClip(
        visual=visual,
        side=int(size[0] if isinstance(size, tuple) else size),
        mean=tuple(settings.get("mean") or preprocess.get("mean") or open_clip.OPENAI_DATASET_MEAN),
        std=tuple(settings.get("std") or preprocess.get("std") or open_clip.OPENAI_DATASET_STD),
    )


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
            fix=f"tags are {', '.join(tags)}; or give --weights PATH",
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
