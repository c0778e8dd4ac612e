"""An encoding model on the disk, told by the fingerprint of what it was fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindeye_cli.core.atomic import write_json
from mindeye_cli.core.checkpoint import load_tensors, save_tensors
from mindeye_cli.models.encoding import EncodingModel
from mindeye_store.files import read_json


def save_encoding(
    folder: Path, model: EncodingModel, fingerprint: str, facts: Mapping[str, Any]
) -> None:
    """Write `encoding.safetensors`, then `encoding.json` with its fingerprint and facts."""
    save_tensors(folder / "encoding.safetensors", model.tensors())
    write_json(folder / "encoding.json", {"fingerprint": fingerprint, **facts})


def load_encoding(folder: Path, fingerprint: str) -> EncodingModel | None:
    """The model that was saved with this fingerprint; None where there is none, or another.

    Raises
    ------
    InvalidInput, MissingResource
        The folder names the fingerprint but its tensors are absent or damaged.
    """
    record = folder / "encoding.json"
    if not record.is_file() or read_json(record).get("fingerprint") != fingerprint:
        return None
    return EncodingModel.from_tensors(load_tensors(folder / "encoding.safetensors"))
