"""Trials from MindEye2's tar files: `behav.npy` (1, 17), one a sample.

Columns that are read: 0 image (from 0), 1 subject, 2 session, 3 run, 5 row of the betas,
16 whether all subjects saw the image. The others are answers, -1 where nothing was recorded.

Shapes: `N` trials.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.prepare.mindeye2.layout import Mindeye2Layout
from mindeye_cli.prepare.npy import from_bytes
from mindeye_cli.prepare.tar import Member, read_members, read_samples
from mindeye_cli.prepare.webdataset.samples import MAX_IMAGE_ID
from mindeye_store.errors import InvalidInput

logger = logging.getLogger("mindeye")
COLUMNS = 17
IMAGE, SUBJECT, SESSION, RUN, ROW, SHARED = 0, 1, 2, 3, 5, 16
MEMBER, LIMIT = "behav.npy", 1 << 16
_NAMES = {
    IMAGE: "image",
    SUBJECT: "subject",
    SESSION: "session",
    RUN: "run",
    ROW: "row of the betas",
    SHARED: "whether the image is shared",
}
_MOST = {IMAGE: MAX_IMAGE_ID, SUBJECT: 8, SESSION: 40, RUN: 1000, ROW: 10**7, SHARED: 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """One subject's trials in the order of the betas, whole numbers (N,) each.

    Attributes
    ----------
    image, session, run, row : int64 arrays
    test : bool array
    left_out : int
        Trials of test images in the training files.
    """

    image: NDArray[np.int64]
    session: NDArray[np.int64]
    run: NDArray[np.int64]
    row: NDArray[np.int64]
    test: NDArray[np.bool_]
    left_out: int


def read_trials(layout: Mindeye2Layout) -> Trials:
    """Read the training files and those of the chosen test set.

    Raises
    ------
    MissingResource
        A tar file is absent.
    InvalidInput
        A file is damaged, belongs to another subject, or names a row twice.
    """
    train = np.concatenate([_read(path, layout.subject) for path in layout.train])
    test = np.concatenate([_read(path, layout.subject) for path in layout.test])
    if not test[:, SHARED].all():
        row = int(test[np.argmin(test[:, SHARED]), ROW])
        raise InvalidInput(
            f"the trial of row {row} is no test trial: not all subjects saw its image",
            where=str(layout.test[0]),
        )
    # Shared images train nobody, whichever test set is taken.
    own = (train[:, SHARED] == 0) & ~np.isin(train[:, IMAGE], test[:, IMAGE])
    left_out = int((~own).sum())
    if left_out:
        logger.warning(
            "%d trials of images that all subjects saw are in the training files; left out",
            left_out,
        )
    table = np.concatenate([train[own], test])
    is_test = np.arange(len(table)) >= own.sum()
    order = np.argsort(table[:, ROW], kind="stable")
    table, is_test = table[order], is_test[order]
    _check_order(table, layout)
    return Trials(
        image=table[:, IMAGE],
        session=table[:, SESSION],
        run=table[:, RUN],
        row=table[:, ROW],
        test=is_test,
        left_out=left_out,
    )


def _read(path: Path, subject: int) -> NDArray[np.int64]:
    """Behaviour of one tar file, int64 (n, 17); columns that are not read are 0."""
    members = [sample[MEMBER] for sample in read_samples(path, {MEMBER: LIMIT}).values()]
    if not members:
        raise InvalidInput(f"the tar file holds no {MEMBER}", where=str(path))
    rows = [
        _row(from_bytes(data, member.where), member)
        for member, data in zip(members, read_members(members), strict=True)
    ]
    table = np.array(rows, dtype=np.int64)
    wrong = np.flatnonzero(table[:, SUBJECT] != subject)
    if len(wrong):
        raise InvalidInput(
            f"the trial is subject {table[wrong[0], SUBJECT]}'s, not subject {subject}'s",
            where=members[wrong[0]].where,
        )
    return table


def _row(values: NDArray[Any], member: Member) -> list[int]:
    if values.size != COLUMNS or values.shape[-1] != COLUMNS:
        raise InvalidInput(
            f"shape {values.shape} is not (1, {COLUMNS}) behaviour", where=member.where
        )
    row = [0] * COLUMNS
    for column, value in enumerate(values.ravel().tolist()):
        if column not in _NAMES:
            continue
        if not 0 <= value <= _MOST[column] or value != int(value):
            raise InvalidInput(f"column {column} ({_NAMES[column]}) is {value}", where=member.where)
        row[column] = int(value)
    return row


def _check_order(table: NDArray[np.int64], layout: Mindeye2Layout) -> None:
    """Every row of the betas once, sessions one after another."""
    twice = np.flatnonzero(np.diff(table[:, ROW]) == 0)
    if len(twice):
        raise InvalidInput(
            f"row {table[twice[0], ROW]} of the betas is there twice", where=str(layout.trials)
        )
    back = np.flatnonzero(np.diff(table[:, SESSION]) < 0)
    if len(back):
        raise InvalidInput(
            f"row {table[back[0] + 1, ROW]} of the betas is of session"
            f" {table[back[0] + 1, SESSION]}, the row before it of {table[back[0], SESSION]}",
            where=str(layout.trials),
        )
