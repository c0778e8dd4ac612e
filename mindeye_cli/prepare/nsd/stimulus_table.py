"""`nsd_stim_info_merged.csv`: every picture, its COCO origin, and the trials that showed it.

`nsdId` counts from 0; `subjectS_repR` holds the trial counted from 1, or 0 when it was not shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.prepare.tables import Table, read_table
from mindeye_store.errors import InvalidInput

# Column of the table -> key of a picture's record in the store.
ORIGIN = {"cocoId": "coco_id", "cocoSplit": "coco_split", "cropBox": "crop_box"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StimulusTable:
    """The table as one subject's design.

    Attributes
    ----------
    image : int64 array (N,)
        Picture of every trial, from 0.
    shared : int64 array
        Pictures with `shared1000`, ascending.
    origins : dict of int to dict
        COCO facts by picture.
    """

    image: NDArray[np.int64]
    shared: NDArray[np.int64]
    origins: dict[int, dict[str, Any]]


def read_stimulus_table(path: Path, subject: int) -> StimulusTable:
    """Read the table for one subject.

    Raises
    ------
    InvalidInput
        A column is missing, a trial shows no picture or two.
    """
    table = read_table(path, required=("nsdId", "shared1000"), others=True)
    pictures = table.integers("nsdId", least=0)
    pattern = re.compile(rf"subject{subject}_rep\d+")
    repeats = [name for name in table.columns if pattern.fullmatch(name)]
    if not repeats:
        raise InvalidInput(f"no column subject{subject}_rep0", where=f"{path}, row 1")
    flags = table.words("shared1000", ("True", "False", "1", "0"))
    shared = pictures[np.isin(flags, ("True", "1"))]
    return StimulusTable(
        image=_trials(table, pictures, repeats),
        shared=np.unique(shared),
        origins=_origins(table, pictures),
    )


def _trials(table: Table, pictures: NDArray[np.int64], repeats: list[str]) -> NDArray[np.int64]:
    columns = np.stack([table.integers(name, least=0) for name in repeats])
    shown = columns > 0
    trials = columns[shown] - 1
    images = np.broadcast_to(pictures, columns.shape)[shown]
    counts = np.bincount(trials)
    wrong = np.flatnonzero(counts != 1)
    if len(wrong):
        raise InvalidInput(
            f"trial {wrong[0] + 1} shows {counts[wrong[0]]} pictures instead of one",
            where=f"{table.path}, columns {', '.join(repeats)}",
        )
    ordered = np.empty(len(trials), dtype=np.int64)
    ordered[trials] = images
    return ordered


def _origins(table: Table, pictures: NDArray[np.int64]) -> dict[int, dict[str, Any]]:
    there = [name for name in ORIGIN if name in table.columns]
    rows = zip(*(table.columns[name] for name in there), strict=True)
    return {
        int(picture): {
            ORIGIN[name]: int(text) if name == "cocoId" and text.isdigit() else text
            for name, text in zip(there, row, strict=True)
        }
        for picture, row in zip(pictures, rows, strict=bool(there))
    }
