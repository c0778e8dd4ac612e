"""A small simulated study with a ridge run and an autoencoder, made once by the commands."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mindeye_cli.app import main

SPACE = "scene-clip:pooled"
SMALL = ("fit.steps=150", "fit.batch=64", "model.atoms=24", "model.k=6", "seeds=2")


@dataclass(frozen=True)
class Study:
    store: Path
    brain: Path
    sae: Path


def mindeye(*arguments: object) -> dict[str, Any]:
    """Run a command that must succeed."""
    out = io.StringIO()
    with redirect_stdout(out):
        code = main([*map(str, arguments), "--json", "--offline"])
    assert code == 0, out.getvalue()
    return dict(json.loads(out.getvalue().splitlines()[-1]))


def settings(*overrides: str) -> list[str]:
    return [word for text in (*SMALL, *overrides) for word in ("--set", text)]


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("sae")
    made = Study(folder / "store.zarr", folder / "ridge", folder / "sae")
    mindeye("simulate", folder / "sim", "--images", 240, "--test", 40, "--voxels", 400)
    mindeye("prepare", "nsd", folder / "sim", made.store, "--subject", 1)
    mindeye("prepare", "targets", made.store, "--space", SPACE)
    folds = ("--set", "inner_folds=5", "--set", "alpha=shared")
    mindeye(
        "train", "ridge", made.store, made.brain, "--subject", "subj01", "--space", SPACE, *folds
    )
    mindeye("sae", "train", made.store, made.sae, "--space", SPACE, *settings())
    return made
