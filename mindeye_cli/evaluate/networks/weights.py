"""Published weights in the user's own caches; nothing is downloaded and no foreign code is run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from torch import nn

from mindeye_cli.core.fingerprint import of_file
from mindeye_cli.models.encoders.clip_files import CHECKPOINTS, read_state
from mindeye_store.errors import InvalidInput, MissingResource


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A weights file that is there.

    Attributes
    ----------
    path : Path
    sha256 : str
        Of the file's bytes.
    """

    path: Path
    sha256: str


def checkpoints() -> Path:
    """Where torch keeps weights: `TORCH_HOME/hub/checkpoints`."""
    cached = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TORCH_HOME") or Path(cached) / "torch") / "hub" / "checkpoints"


def torch_weights(url: str) -> Weights:
    """A file of torch's cache by the address it was published at.

    Raises
    ------
    MissingResource
        It is not there.
    """
    path = checkpoints() / url.rpartition("/")[2]
    if not path.is_file():
        raise MissingResource(
            "the weights are not in torch's cache", where=str(path), fix=f"put {url} there"
        )
    return _found(path)


def clip_weights(model: str, pretrained: str) -> Weights:
    """A file of Hugging Face's cache by open_clip's names.

    Raises
    ------
    MissingResource
        It is not there.
    """
    import open_clip
    from huggingface_hub import try_to_load_from_cache

    hub = str(open_clip.get_pretrained_cfg(model, pretrained).get("hf_hub", ""))
    repository, _, name = hub.rpartition("/")
    for file in (name,) if name else CHECKPOINTS:
        path = try_to_load_from_cache(repository, file)
        if isinstance(path, str) and Path(path).is_file():
            return _found(Path(path))
    raise MissingResource(
        f"the weights are not in Hugging Face's cache (HF_HOME): {name or CHECKPOINTS[0]}",
        where=repository,
        fix=f"hf download {repository} {name or CHECKPOINTS[0]}",
    )


def load_strictly(network: nn.Module, path: Path, *, without: tuple[str, ...] = ()) -> None:
    """Load a state dict: every weight, and no other but those that begin as `without` says.

    Raises
    ------
    InvalidInput
        A damaged file, or one of another network.
    """
    state: dict[str, Any] = read_state(path)
    own = {key: value for key, value in state.items() if not key.startswith(without)}
    try:
        network.load_state_dict(own, strict=True)
    except RuntimeError as problem:
        lines = [line.strip() for line in str(problem).splitlines()]
        raise InvalidInput(
            f"not the weights of this network: {' '.join(lines[1:2])[:200]}", where=str(path)
        ) from problem


def _found(path: Path) -> Weights:
    status = path.stat()
    return Weights(path=path, sha256=_hash(path, status.st_size, status.st_mtime_ns))


@cache
def _hash(path: Path, size: int, changed: int) -> str:
    """SHA-256, computed once while size and time of change are the same."""
    return of_file(path)
