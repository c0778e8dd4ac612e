"""Run a script of docs/recipes.md and compare the store with what its dataset holds."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import scipy.io
import scipy.stats
from PIL import Image
from prepare import lab as labs

from mindeye_store import Subject

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
RECIPES = {
    title.split(",")[0]: (script, command)
    for title, script, command in re.findall(
        r"^## ([^\n]+)\n.*?^```python\n(.*?)^```.*?^```bash\n(.*?)^```", PAGE, re.M | re.S
    )
}


@dataclass
class Expected:
    """What the store should hold."""

    values: np.ndarray  # (N, V), before any z-score
    image: list[str]  # by trial
    test: np.ndarray  # bool (N,)
    session: np.ndarray
    areas: dict[str, np.ndarray]  # bool (V,)
    ijk: np.ndarray | None = None


def run(title: str, folder: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a recipe's script and its command that prepares."""
    script, commands = RECIPES[title]
    (folder / "recipe.py").write_text(script)
    warnings = ["-W", "error", "-W", "ignore::DeprecationWarning"]
    done = subprocess.run(
        [sys.executable, *warnings, "recipe.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(folder)
    line = commands.splitlines()[0].split()
    assert line[:3] == ["mindeye", "prepare", "arrays"]
    result = call_cli(*line[1:], "--max-invalid", "0.5")
    assert result.code == 0, result.stderr


def check(subject: Subject, expected: Expected, ids: list[str]) -> None:
    """Values z-scored by scipy, pictures, splits, sessions and areas."""
    wanted = np.empty_like(expected.values, dtype=np.float64)
    for number in np.unique(expected.session):
        mine = expected.session == number
        fitted = mine & ~expected.test if not expected.test.all() else mine
        wanted[mine] = scipy.stats.zmap(expected.values[mine], expected.values[fitted], axis=0)
    found = subject.voxels.read(np.arange(len(subject.voxels)))
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    assert [ids[k] for k in subject.image_index] == expected.image
    assert np.array_equal(subject.split == 1, expected.test)
    assert np.array_equal(subject.session, expected.session)
    for name, members in expected.areas.items():
        assert np.array_equal(subject.rois[name].labels > 0, members), name
    if expected.ijk is not None:
        assert np.array_equal(subject.ijk, expected.ijk)


def picture(path: Path, random: np.random.Generator, side: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(random.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)


def volume(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, labs.AFFINE), path)
