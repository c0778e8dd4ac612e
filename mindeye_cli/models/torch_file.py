"""Files that `torch.save` wrote, read as plain containers of tensors: nothing in them can run."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch

from mindeye_store.errors import InvalidInput, MindeyeError, MissingResource

ZIP_START = b"PK\x03\x04"


def read_torch_file(path: Path) -> Any:
    """Read one file on the CPU, its tensors mapped from the disk where its format allows.

    Parameters
    ----------
    path : Path
        Such as `last.pth`; of today's zip format or the one before torch 1.6.

    Returns
    -------
    object
        What was saved: tensors, numbers and texts in dictionaries and lists.

    Raises
    ------
    MissingResource
        There is no such file.
    InvalidInput
        It is truncated, no torch file, or holds other objects than tensors.
    """
    if not path.is_file():
        raise MissingResource("the checkpoint is absent", where=str(path), fix="check the path")
    try:
        zipped = zipfile.is_zipfile(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as problem:
        refusal = _refusal(path, problem)
        if refusal is not None:
            raise refusal from problem
        raise


def _refusal(path: Path, problem: Exception) -> MindeyeError | None:
    """What is wrong with the file; None for problems that are not the file's."""
    if isinstance(problem, PermissionError):
        return MissingResource("the file may not be read", where=str(path), fix="chmod u+r FILE")
    if isinstance(problem, MemoryError | OSError):
        return None
    with path.open("rb") as stream:
        begins_zip = stream.read(len(ZIP_START)) == ZIP_START
    if "PytorchStreamReader" in str(problem) or "unexpected EOF" in str(problem):
        why = "truncated or damaged"
    elif begins_zip and type(problem).__name__ == "UnpicklingError":
        why = "a pickle of other objects than plain tensors, which could run code: not loaded"
    elif begins_zip:
        why = "not a file that torch.save wrote"
    else:
        why = "not a torch checkpoint of plain tensors"
    return InvalidInput(
        f"the file is {why}", where=str(path), fix="download it again, or save a plain state_dict"
    )
