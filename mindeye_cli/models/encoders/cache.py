"""Finding published weights: the user's cache first, then a download unless that is forbidden."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mindeye_store.errors import MissingResource


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A model repository on Hugging Face.

    Attributes
    ----------
    name, revision : str
    files : tuple of str
        Patterns of the files that are needed.
    size : str
        How much that is, for messages.
    """

    name: str
    revision: str | None
    files: tuple[str, ...]
    size: str


def offline() -> bool:
    """Whether downloads are forbidden."""
    names = ("MINDEYE_OFFLINE", "HF_HUB_OFFLINE")
    return any(os.environ.get(name, "").lower() not in ("", "0", "false", "no") for name in names)


def cached_folder(repository: Repository) -> Path:
    """Folder of the repository's files in the cache (`HF_HOME`), downloaded when allowed.

    Raises
    ------
    MissingResource
        They are not there and cannot be fetched.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = list(repository.files)
    for local in (True,) if offline() else (True, False):
        try:
            folder = Path(
                snapshot_download(
                    repository.name,
                    revision=repository.revision,
                    allow_patterns=patterns,
                    local_files_only=local,
                )
            )
        except (LocalEntryNotFoundError, HfHubHTTPError, OSError):
            continue
        if all(any(folder.glob(pattern)) for pattern in patterns):
            return folder
    raise MissingResource(
        f"the weights of {repository.name} ({repository.size}) are not in the cache",
        where=repository.name
        if repository.revision is None
        else f"{repository.name} at {repository.revision}",
        fix="run once without --offline, or give a local copy with --weights PATH",
    )
