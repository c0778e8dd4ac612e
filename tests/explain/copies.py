"""A small simulated study with a ridge run, made once by the commands, and copies that differ."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mindeye_cli.app import main
from mindeye_store import create_store, open_store

SPACE = "scene-clip:pooled"
SUBJECT = "subj01"
# A test image that the subject saw.
SEEN = "nsd00045"
Arrays = dict[str, Any]


@dataclass(frozen=True)
class Study:
    store: Path
    run: Path

    @property
    def cache(self) -> Path:
        return self.run / "explain" / f"{SUBJECT}-{SPACE.replace(':', '-')}"


def mindeye(*arguments: object) -> dict[str, Any]:
    """Run a command that must succeed."""
    out = io.StringIO()
    with redirect_stdout(out):
        code = main([*map(str, arguments), "--json", "--offline"])
    assert code == 0, out.getvalue()
    return dict(json.loads(out.getvalue().splitlines()[-1]))


def ridge(store: Path, run: Path, space: str = SPACE) -> None:
    folds = ("--set", "inner_folds=5", "--set", "alpha=shared")
    mindeye("train", "ridge", store, run, "--subject", SUBJECT, "--space", space, *folds)


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Read only: 240 training images, 40 test images, 400 voxels."""
    folder = tmp_path_factory.mktemp("explain")
    made = Study(folder / "store.zarr", folder / "ridge")
    mindeye("simulate", folder / "sim", "--images", 240, "--test", 40, "--voxels", 400)
    mindeye("prepare", "nsd", folder / "sim", made.store, "--subject", 1)
    mindeye("prepare", "targets", made.store, "--space", SPACE)
    ridge(made.store, made.run)
    return made


def copied(study: Study, folder: Path) -> Study:
    """A copy that may be changed."""
    made = Study(folder / "store.zarr", folder / "ridge")
    shutil.copytree(study.store, made.store)
    shutil.copytree(study.run, made.run)
    return made


def change_subject(
    study: Study, edit: Callable[[Arrays], None], attrs: Mapping[str, Any] | None = None
) -> None:
    """Write the subject anew, with its arrays edited; None in `attrs` drops one."""
    store = open_store(study.store)
    subject = store.subject(SUBJECT)
    arrays: Arrays = {
        "voxels": subject.voxels.read(np.arange(len(subject.image_index))),
        "image_index": subject.image_index,
        **{name: subject.column(name) for name in ("session", "run", "repeat", "split")},
        "ijk": subject.ijk,
        "ncsnr": subject.ncsnr,
        **{f"roi/{atlas}": roi.labels for atlas, roi in subject.rois.items()},
    }
    edit(arrays)
    known = dict(subject.attrs) | dict(attrs or {})
    known = {key: value for key, value in known.items() if value is not None}
    store.remove(f"subjects/{SUBJECT}")
    _write(study.store, f"subjects/{SUBJECT}", arrays, known)


def change_targets(study: Study, edit: Callable[[np.ndarray], None], space: str = SPACE) -> None:
    """Write a space's rows anew, edited, as if the same encoder had made them."""
    store = open_store(study.store)
    target = store.target(space)
    rows, attrs = target.read(np.arange(store.images.n)), dict(target.attrs)
    edit(rows)
    folders = (study.store / "targets" / space).iterdir()
    (segment,) = (path.name for path in folders if path.is_dir())
    store.remove(f"targets/{space}")
    _write(study.store, f"targets/{space}/{segment}", {"rows": rows}, attrs)


def bare_store(folder: Path, pictures: np.ndarray) -> Path:
    """A store of pictures alone: no captions and no records."""
    store = create_store(folder)
    ids = [f"img{k}" for k in range(len(pictures))]
    store.add_images(ids, lambda k: pictures[k], pictures.shape[1:], plan={"n": len(ids)})
    return folder


def _write(path: Path, name: str, arrays: Arrays, attrs: Mapping[str, Any]) -> None:
    plan = {"name": name, "changed": True}
    with open_store(path).write_bundle(name, plan=plan, attrs=attrs) as writer:
        for key, value in arrays.items():
            writer.array(key, shape=value.shape, dtype=value.dtype).write_all(value)
        writer.publish()
