"""A small simulated study with a ridge run on pooled vectors, made once by the commands."""

from __future__ import annotations

import io
import json
import shutil
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mindeye_cli.app import main

SPACE = "scene-clip:pooled"


@dataclass(frozen=True)
class Study:
    """Store, run, and the folder in NSD's layout that the store was prepared from."""

    store: Path
    run: Path
    nsd: Path

    def copy(self, folder: Path) -> Study:
        """The same study elsewhere, to be changed."""
        store, run = folder / "store.zarr", folder / "run"
        shutil.copytree(self.store, store)
        shutil.copytree(self.run, run, ignore=shutil.ignore_patterns("explain"))
        return Study(store, run, self.nsd)


def mindeye(*arguments: object) -> dict[str, Any]:
    """Run a command that must succeed."""
    out = io.StringIO()
    with redirect_stdout(out):
        code = main([*map(str, arguments), "--json", "--offline"])
    assert code == 0, out.getvalue()
    return dict(json.loads(out.getvalue().splitlines()[-1]))


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("explain")
    made = Study(folder / "store.zarr", folder / "ridge", folder / "nsd")
    mindeye("simulate", made.nsd, "--images", 400, "--test", 60, "--voxels", 600)
    mindeye("prepare", "nsd", made.nsd, made.store, "--subject", 1)
    mindeye("prepare", "targets", made.store, "--space", SPACE)
    ridge = ("--space", SPACE, "--set", "inner_folds=5", "--set", "alpha=shared")
    mindeye("train", "ridge", made.store, made.run, "--subject", "subj01", *ridge)
    return made


@pytest.fixture(scope="session")
def faces(study: Study, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Everything asked about the set of faces: its folder, and what the command printed."""
    out = tmp_path_factory.mktemp("faces") / "faces"
    what = ("explain", "set", study.store, study.run, "where:objects.0.category=face")
    return out, mindeye(*what, "--out", out)
