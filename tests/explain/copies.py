"""Copies of the small study with other responses, areas or targets."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from explain.conftest import SPACE, Study, mindeye

from mindeye_cli.core import trials
from mindeye_store import open_store

SUBJECT = "subj01"
Arrays = dict[str, Any]


def seen_row(study: Study) -> int:
    """A test image that the subject saw."""
    return int(trials.test_images_any_subject(open_store(study.store))[3])


def seen(study: Study) -> str:
    """The same as it is asked about."""
    return f"image:{open_store(study.store).images.ids[seen_row(study)]}"


def cache(study: Study) -> Path:
    """Where the run keeps the subject's encoding model."""
    return study.run / "explain" / f"{SUBJECT}-{SPACE.replace(':', '-')}"


def ridge(store: Path, run: Path) -> None:
    folds = ("--set", "inner_folds=5", "--set", "alpha=shared")
    mindeye("train", "ridge", store, run, "--subject", SUBJECT, "--space", SPACE, *folds)


def copied(study: Study, folder: Path) -> Study:
    """A copy that may be changed, with the kept encoding model if there is one."""
    made = study.copy(folder)
    if (study.run / "explain").is_dir():
        shutil.copytree(study.run / "explain", made.run / "explain")
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


def _write(path: Path, name: str, arrays: Arrays, attrs: Mapping[str, Any]) -> None:
    plan = {"name": name, "changed": True}
    with open_store(path).write_bundle(name, plan=plan, attrs=attrs) as writer:
        for key, value in arrays.items():
            writer.array(key, shape=value.shape, dtype=value.dtype).write_all(value)
        writer.publish()
