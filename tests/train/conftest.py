"""Tiny stores to train on, made through the store's own writer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mindeye_store import create_store

SIDE = 8
TOKENS, WIDTH = 5, 16
LATENT = (4, 4, 4)


def build_store(
    path: Path,
    *,
    train: int = 24,
    test: int = 6,
    voxels: int = 20,
    seed: int = 0,
    poison: float | None = None,
    shared_test: int = 0,
    third: int = 0,
    sessions: int = 1,
    prefix: str = "img",
    turned: bool = False,
) -> Path:
    """A store with subject s1 and targets linear in its voxels, plus noise.

    Images 0..test-1 are test. `poison` replaces every value of the test trials and test targets.
    `shared_test` more images are train for s1 and test for a second subject s2. A subject s3 with
    half as many voxels saw `third` of the training images once. `turned` numbers the ids backwards.
    """
    random = np.random.default_rng(seed)
    n = train + test
    store = create_store(path)
    pixels = random.integers(0, 255, (n, SIDE, SIDE, 3), dtype=np.uint8)
    rows = store.add_images(
        [f"{prefix}{n - 1 - i if turned else i:03d}" for i in range(n)],
        lambda k: pixels[k],
        (SIDE, SIDE, 3),
        plan={"seed": seed},
    )
    repeats = random.integers(1, 4, n)
    index = random.permutation(np.repeat(rows, repeats))
    latent = random.standard_normal((n, 6)).astype(np.float32)
    mixing = random.standard_normal((6, voxels)).astype(np.float32)
    values = latent[index] @ mixing
    values += random.standard_normal(values.shape).astype(np.float32)
    is_test = index < test
    if poison is not None:
        values[is_test] = poison
    _subject(store, "s1", values, index, is_test, sessions)
    if shared_test:
        other = np.arange(test, test + shared_test)
        noise = random.standard_normal((shared_test, voxels)).astype(np.float32)
        _subject(store, "s2", noise, other, np.ones(shared_test, bool))
    if third:
        shown = np.arange(test, test + third)
        other = latent[shown] @ mixing[:, : voxels // 2]
        _subject(store, "s3", other.astype(np.float32), shown, np.zeros(third, bool))
    for space, shape, norm in (
        ("array:tokens", (TOKENS, WIDTH), "raw"),
        ("array:vector", (WIDTH,), "unit"),
        ("array:latent", LATENT, "raw"),
        ("array:teacher", (LATENT[1] ** 2 + 1, WIDTH), "raw"),
        ("array:teacher@view1", (LATENT[1] ** 2 + 1, WIDTH), "raw"),
    ):
        map_to = random.standard_normal((6, int(np.prod(shape)))).astype(np.float32)
        target = (latent @ map_to).reshape(n, *shape)
        if poison is not None:
            target[:test] = poison
        _target(store, space, target, norm)
    return path


def _subject(
    store: Any, name: str, values: Any, index: Any, is_test: Any, sessions: int = 1
) -> None:
    n, voxels = values.shape
    with store.write_bundle(f"subjects/{name}", plan={"name": name}, attrs={}) as writer:
        arrays = {
            "voxels": values,
            "image_index": index.astype(np.int64),
            "session": (np.arange(n) * sessions // n + 1).astype(np.int16),
            "run": np.ones(n, np.int16),
            "repeat": np.zeros(n, np.int16),
            "split": is_test.astype(np.uint8),
            "ijk": np.stack([np.arange(voxels)] * 3, axis=1).astype(np.int16),
        }
        for key, value in arrays.items():
            writer.array(key, shape=value.shape, dtype=value.dtype).write_all(value)
        writer.publish()


def _target(store: Any, space: str, target: Any, norm: str) -> None:
    attrs = {"space": space, "norm": norm, "fingerprint": f"encoder of {space}"}
    with store.write_bundle(f"targets/{space}/0000", plan={"space": space}, attrs=attrs) as writer:
        writer.array("rows", shape=target.shape, dtype="float32").write_all(target)
        writer.publish()


@pytest.fixture(scope="session", name="build_store")
def build_store_fixture() -> Callable[..., Path]:
    """`build_store` itself, for fixtures with folders of their own."""
    return build_store


@pytest.fixture
def make_store(tmp_path: Path) -> Callable[..., Path]:
    """`build_store` in the test's own folder: `make_store("name", ...)`."""
    return lambda name="store.zarr", **options: build_store(tmp_path / name, **options)
