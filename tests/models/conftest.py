"""Golden values of the published code, and checkpoints in its layout made from a seed."""

from __future__ import annotations

import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

SEED = 101


@pytest.fixture
def drawn() -> Callable[[str, tuple[int, ...]], Tensor]:
    """`drawn(name, shape)`: the golden values' input of that name, float32."""

    def draw(name: str, shape: tuple[int, ...]) -> Tensor:
        source = np.random.default_rng([SEED, zlib.crc32(name.encode())])
        return torch.from_numpy(source.standard_normal(shape).astype(np.float32))

    return draw


@lru_cache
def _state(folder: Path, kind: str, out: Path) -> dict[str, Tensor]:
    file = out / f"{kind}.pth"
    command = [sys.executable, str(folder / "make_checkpoint.py"), kind, str(file)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return dict(torch.load(file, weights_only=True)["model_state_dict"])


@pytest.fixture(scope="session")
def _checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("published")


@pytest.fixture
def published_state(shared_dir: Path, _checkpoints: Path) -> Callable[[str], dict[str, Tensor]]:
    """`published_state("high" | "low")`: a fresh dictionary of a published layout's tensors."""
    return lambda kind: dict(_state(shared_dir / "golden", kind, _checkpoints))


@pytest.fixture
def golden(shared_dir: Path) -> Mapping[str, NDArray[np.floating]]:
    """Arrays that the published code computed."""
    with np.load(shared_dir / "golden" / "mindeye1.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}
