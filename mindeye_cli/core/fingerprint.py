"""SHA-256 fingerprints of files, arrays, weights and plans, and the facts of the environment."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindeye_cli.core.jsonable import to_jsonable

if TYPE_CHECKING:
    import numpy as np
    import torch

# What can change a number that this package writes.
PACKAGES = (
    "mindeye",
    "numpy",
    "torch",
    "zarr",
    "numcodecs",
    "diffusers",
    "transformers",
    "open_clip_torch",
    "accelerate",
    "safetensors",
    "scipy",
    "scikit-image",
    "nibabel",
    "h5py",
)


def of_array(array: np.ndarray[Any, Any]) -> str:
    """Fingerprint of an array's dtype, shape and values.

    Parameters
    ----------
    array : ndarray
        Any shape; byte order and memory order do not matter.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    import numpy as np

    plain = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    digest = hashlib.sha256(f"{plain.dtype.str} {array.shape}\n".encode())
    digest.update(plain.tobytes())
    return digest.hexdigest()


def of_file(path: Path) -> str:
    """Fingerprint of a file's bytes, as `sha256sum` prints it."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def of_state_dict(state: Mapping[str, torch.Tensor]) -> str:
    """Fingerprint of named tensors, whatever the order of the names.

    Parameters
    ----------
    state : mapping of str to Tensor
        Any dtype, bfloat16 included, on any device.

    Returns
    -------
    str
        64 hexadecimal digits over names, dtypes, shapes and bytes.
    """
    import torch

    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def of_json(value: Any) -> str:
    """Fingerprint of a plan or configuration: of its JSON with sorted keys and no spaces."""
    text = json.dumps(to_jsonable(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def environment() -> dict[str, str]:
    """Versions of Python and of every package that can change a result; nothing is imported.

    Returns
    -------
    dict
        Name -> version; packages that are not installed are left out. Paths, host and user names
        are left out on purpose, since runs are shared.
    """
    facts = {"python": platform.python_version(), "platform": platform.system().lower()}
    for name in PACKAGES:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            continue
    return facts
