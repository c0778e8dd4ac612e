"""Where the shipped weights lie, and their strict loading as float32."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from safetensors.torch import load_file
from torch import nn

from mindeye_store.errors import MissingResource


def weights_folder(name: str) -> Path:
    """Folder of a shipped model.

    Parameters
    ----------
    name : str
        `scene-vae`, `scene-clip`, `scene-net` or `scene-generator`.

    Returns
    -------
    Path

    Raises
    ------
    MissingResource
        If the package came without it.
    """
    folder = Path(str(files("mindeye_cli"))) / "weights" / name
    if not folder.is_dir():
        raise MissingResource(
            f"the built-in model {name} is not in this installation",
            where=str(folder),
            fix="pip install --force-reinstall .",
        )
    return folder


def load_weights(model: nn.Module, path: Path) -> None:
    """Fill `model` from a safetensors file, strictly, as float32, and set evaluation mode."""
    if not path.is_file():
        raise MissingResource(
            "model weights are missing", where=str(path), fix="pip install --force-reinstall ."
        )
    state = {name: tensor.float() for name, tensor in load_file(path).items()}
    model.load_state_dict(state, strict=True)
    model.eval().requires_grad_(False)
