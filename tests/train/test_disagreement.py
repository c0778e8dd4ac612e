"""A store whose parts do not belong together is refused before anything is trained or scored."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mindeye_store import Store, create_store, open_store

N, SIDE, VOXELS = 20, 8, 6
SPACE = "pixels:2"
TINY = (
    "--preset=scene",
    "--set=model.hidden=8",
    "--set=losses.prior=0",
    "--set=optim.batch=8",
    "--set=optim.epochs=1",
)


def make(path: Path, *, seed: int = 0, beyond: int = 0, call_cli: Callable[..., Any]) -> Store:
    """A store of random pictures with targets; `beyond` trials show images it does not have."""
    random = np.random.default_rng(seed)
    store = create_store(path)
    pixels = random.integers(0, 256, (N, SIDE, SIDE, 3), dtype=np.uint8)
    store.add_images(
        [f"i{k}" for k in range(N)], lambda k: pixels[k], pixels.shape[1:], plan={"seed": seed}
    )
    columns = {
        "voxels": random.standard_normal((N, VOXELS)).astype(np.float32),
        "image_index": np.arange(N) + beyond,
        "split": (np.arange(N) < 5).astype(np.uint8),
        "ijk": np.zeros((VOXELS, 3), np.int16),
        **{name: np.zeros(N, np.int16) for name in ("session", "run", "repeat")},
    }
    with store.write_bundle("subjects/s1", plan={"seed": seed}) as writer:
        for name, values in columns.items():
            writer.array(name, shape=values.shape, dtype=values.dtype).write_all(values)
        writer.publish()
    assert call_cli("prepare", "targets", path, "--space", SPACE).code == 0
    return open_store(path)


@pytest.fixture
def refused(tmp_path: Path, call_cli: Callable[..., Any]) -> Callable[..., list[str]]:
    """Error lines of both trainings and of scoring `run`; each must end with exit code 3."""

    def lines(store: Store, run: Path) -> list[str]:
        subject = ("--subject=s1", "--space", SPACE)
        new = tmp_path / "new"
        results = [
            call_cli("train", "high-level", store.path, new, *subject, *TINY),
            call_cli("train", "ridge", store.path, new, *subject),
            call_cli("retrieve", "pool", store.path, run),
        ]
        assert [result.code for result in results] == [3, 3, 3], results
        assert not new.exists()
        return [line for result in results for line in result.stderr.splitlines()]

    return lines


@pytest.fixture
def trained(tmp_path: Path, call_cli: Callable[..., Any]) -> tuple[Store, Path]:
    store, run = make(tmp_path / "s.zarr", call_cli=call_cli), tmp_path / "run"
    done = call_cli("train", "ridge", store.path, run, "--subject=s1", "--space", SPACE)
    assert done.code == 0, done.stderr
    return store, run


def test_targets_of_other_images(
    trained: tuple[Store, Path], tmp_path: Path, refused: Callable[..., list[str]], call_cli: Any
) -> None:
    store, run = trained
    other = make(tmp_path / "other.zarr", seed=1, call_cli=call_cli)
    shutil.rmtree(store.path / "targets")
    shutil.copytree(other.path / "targets", store.path / "targets")
    for line in refused(store, run):
        assert "made of other images than the store's" in line
        assert f"mindeye store rm {store.path} targets/{SPACE}" in line
        assert f"mindeye prepare targets {store.path} --space {SPACE}" in line


def test_another_number_of_targets(
    trained: tuple[Store, Path], refused: Callable[..., list[str]]
) -> None:
    store, run = trained
    attrs = store.attrs(f"targets/{SPACE}/0000")
    store.remove(f"targets/{SPACE}")
    with store.write_bundle(f"targets/{SPACE}/0000", plan={}, attrs=attrs) as writer:
        writer.array("rows", shape=(N - 1, 12), dtype="float32").write_all(np.ones((N - 1, 12)))
        writer.publish()
    for line in refused(store, run):
        assert f"{N - 1} targets for {N} images" in line


def test_trials_of_images_that_are_not_there(
    trained: tuple[Store, Path], tmp_path: Path, refused: Callable[..., list[str]], call_cli: Any
) -> None:
    store = make(tmp_path / "beyond.zarr", beyond=8, call_cli=call_cli)
    for line in refused(store, trained[1]):
        assert "trial 12 of subject s1 shows image 20, the store has 20 (8 such trials)" in line
