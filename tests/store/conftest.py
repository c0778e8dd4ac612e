"""Small stores, and a context whose processes start fast and can be killed."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path

import numpy as np
import pytest

from mindeye_store import Store, create_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return create_store(tmp_path / "s.zarr", reader="zarr")


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def with_images(store: Store, pixels: np.ndarray) -> Store:
    names = [f"image-{i}" for i in range(20)]
    store.add_images(names, lambda rows: pixels[rows], (8, 8, 3), plan={"seed": 0})
    return store


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    """A server that has imported the package and forks from there, before zarr has a thread."""
    context = multiprocessing.get_context("forkserver")
    writing, reading = "mindeye_store.bundle", "mindeye_store.backends.zarr_reader"
    context.set_forkserver_preload(
        ["mindeye_store.opening", "mindeye_store.verify", writing, reading]
    )
    return context


@pytest.fixture
def stored_bytes() -> Callable[[Path], dict[str, bytes]]:
    """Every byte of a bundle's arrays: what must not depend on time, host or interruptions."""

    def read(bundle: Path) -> dict[str, bytes]:
        files = [path for path in bundle.rglob("*") if path.is_file()]
        inside = {path.relative_to(bundle).as_posix(): path for path in files}
        return {
            name: path.read_bytes()
            for name, path in inside.items()
            if not name.startswith("_ledger/") and name != "zarr.json"
        }

    return read
