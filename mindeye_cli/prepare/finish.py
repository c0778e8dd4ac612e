"""The common end of every reader: everything is checked, then the subject is published.

Shapes: `N` trials, `V` voxels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.outcome import Outcome
from mindeye_cli.prepare.leaks import warn_of_leaks
from mindeye_cli.prepare.pictures import Pictures, add_pictures
from mindeye_cli.prepare.stores import already_there, outcome_values
from mindeye_cli.prepare.subject import measure, write_subject
from mindeye_cli.prepare.table import TrialTable
from mindeye_cli.prepare.voxels import RawTrials, VoxelTable
from mindeye_cli.prepare.zscore import ZScore
from mindeye_store import create_store
from mindeye_store.errors import UsageProblem

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One subject as a reader found it; nothing is written yet.

    Attributes
    ----------
    raw : RawTrials, N trials of V voxels
    table : TrialTable
    voxels : VoxelTable
    pictures : Pictures
        What `table.image` counts.
    plan : dict
        What the subject's arrays depend on: settings and the content of the files.
    place : str
        Where the responses come from, for messages.
    zscore : {"train", "session", "none"}
    max_invalid : float
        Largest share of voxels that may be dropped.
    attrs : dict
        What is said of the subject beside its counts.
    absent : tuple of str
        Trial columns that the format does not carry; the store holds placeholders.
    columns : dict of str to array (N, ...)
        Further trial columns.
    reliable : bool array (N,), optional
        Trials that are measurements of their own; the others repeat one.
    fill : bool
        Keep unusable voxels, with 0 in every trial, instead of dropping them.
    """

    raw: RawTrials
    table: TrialTable
    voxels: VoxelTable
    pictures: Pictures
    plan: dict[str, Any]
    place: str
    zscore: ZScore
    max_invalid: float
    attrs: dict[str, Any] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    columns: dict[str, NDArray[Any]] = field(default_factory=dict)
    reliable: NDArray[np.bool_] | None = None
    fill: bool = False


def store_subject(source: Source, path: Path, subject: str, overwrite: bool) -> Outcome:
    """Publish one subject, unless the store holds it from the very same plan.

    Returns
    -------
    Outcome
        Values `n_voxels`, `n_trials`, `n_images`, `splits`, `dropped`, `leaked_images`.

    Raises
    ------
    InvalidInput
        The responses or pictures cannot be used; the store is as it was.
    """
    bundle = path / "subjects" / subject
    if already_there(path, subject, source.plan, overwrite):
        values = outcome_values(path, subject)
        return Outcome(status="notneeded", outputs=(bundle,), values=values)
    data = measure(
        source.raw,
        source.table,
        source.voxels,
        zscore=source.zscore,
        max_invalid=source.max_invalid,
        source=source.place,
        reliable=source.reliable,
        fill=source.fill,
    )
    leaked = warn_of_leaks(source.pictures, source.table)
    store = create_store(path)
    rows = add_pictures(store, source.pictures, source.plan)
    absent = [*source.absent, *absent_fields(source.voxels, source.pictures)]
    write_subject(
        store,
        subject,
        data,
        rows,
        plan=source.plan,
        attrs=source.attrs | {"plan": source.plan, "leaked_images": leaked, "absent": absent},
        columns=source.columns,
        overwrite=overwrite,
    )
    return Outcome(outputs=(bundle,), values=outcome_values(path, subject))


def absent_fields(voxels: VoxelTable, pictures: Pictures) -> list[str]:
    """What a data set does not say of its voxels and pictures."""
    there = {
        "ijk": voxels.ijk is not None,
        "affine": voxels.affine is not None,
        "roi": bool(voxels.rois),
        "ncsnr_file": voxels.file_ncsnr is not None,
        "captions": pictures.captions is not None,
        "records": pictures.records is not None,
    }
    return [name for name, found in there.items() if not found]


def check_name(subject: str) -> None:
    """Refuse what cannot name a subject in the store.

    Raises
    ------
    UsageProblem
        Another character than letters, digits, '.', '_' and '-'.
    """
    if not _NAME.fullmatch(subject):
        raise UsageProblem(
            f"{subject!r} cannot name a subject",
            where="--subject",
            fix="use letters, digits, '.', '_' and '-'",
        )
