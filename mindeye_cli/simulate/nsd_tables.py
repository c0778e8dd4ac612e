"""NSD's tables: the design, the table of pictures, and each subject's behaviour.

Column names and their order are NSD's. In the design and in the behaviour 73k and 10k numbers count
from 1; `nsdId` in the table of pictures counts from 0. Trial numbers there count from 1 over the
whole experiment, 0 meaning that the presentation did not take place.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.io

from mindeye_cli.core.sampler import rng
from mindeye_cli.simulate.design import N_RUNS, N_SUBJECTS, Design

_REPEATS = 3
_LEAD_BLANKS, _LEAST_PATTERN, _TAIL_BLANKS = 3, 75, 4
_MAT_HEADER = b"MATLAB 5.0 MAT-file, simulated experiment".ljust(116)
BEHAVIOUR = (
    "SUBJECT SESSION RUN TRIAL 73KID 10KID TIME ISOLD ISCORRECT RT CHANGEMIND MEMORYRECENT"
    " MEMORYFIRST ISOLDCURRENT ISCORRECTCURRENT TOTAL1 TOTAL2 BUTTON MISSINGDATA"
).split()


def write_design(path: Path, design: Design) -> None:
    """Write `nsd_expdesign.mat`."""
    stream = io.BytesIO()
    scipy.io.savemat(
        stream,
        {
            "masterordering": design.order[None].astype(np.int32),
            "basiccnt": _presentations(design).astype(np.uint16),
            "sharedix": design.sharedix[None].astype(np.int32),
            "subjectim": design.subjectim.astype(np.int32),
            "stimpattern": _pattern(design).astype(np.uint8),
        },
    )
    # The first 116 bytes are free text, in which scipy puts the time of writing.
    path.write_bytes(_MAT_HEADER + stream.getvalue()[len(_MAT_HEADER) :])


def write_stimulus_table(path: Path, design: Design) -> None:
    """Write `nsd_stim_info_merged.csv`: one row per 73k number."""
    trials = _trials_of_pictures(design)
    shown = np.zeros((N_SUBJECTS, len(design.brick)), np.int64)
    presented = np.zeros((N_SUBJECTS, len(design.brick), _REPEATS), np.int64)
    for subject in design.stimulus:
        row = design.subjectim[subject - 1] - 1
        shown[subject - 1, row] = 1
        presented[subject - 1, row] = trials
    shared = np.isin(np.arange(len(design.brick)), design.sharedix - 1)
    numbers = range(1, N_SUBJECTS + 1)
    header = ["", "cocoId", "cocoSplit", "cropBox", "loss", "nsdId", "flagged", "BOLD5000"]
    header += ["shared1000", *(f"subject{n}" for n in numbers)]
    header += [f"subject{n}_rep{repeat}" for n in numbers for repeat in range(_REPEATS)]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        for nsd_id in range(len(design.brick)):
            fixed = [nsd_id, 0, "simulated", "(0, 0, 0, 0)", 0.0, nsd_id, False, False]
            per_subject = [*shown[:, nsd_id], *presented[:, nsd_id].ravel()]
            writer.writerow([*fixed, bool(shared[nsd_id]), *per_subject])


def write_behaviour(path: Path, design: Design, subject: int, seed: int) -> None:
    """Write `responses.tsv`: one row per trial, of a subject who mostly knows old from new."""
    random = rng(seed, "behaviour", subject)
    n_trials = len(design.order)
    first, last, here = _memory(design)
    old, old_here = last >= 0, here >= 0
    button = 1 + np.where(random.random(n_trials) < 0.85, old, ~old).astype(np.int64)
    said_old = button == 2
    reaction = np.rint(random.lognormal(6.9, 0.25, n_trials))
    numbers = np.arange(n_trials)
    columns: dict[str, npt.NDArray[Any]] = {
        "SUBJECT": np.full(n_trials, subject),
        "SESSION": design.session,
        "RUN": design.run,
        "TRIAL": design.trial,
        "73KID": design.subjectim[subject - 1, design.order - 1],
        "10KID": design.order,
        # Days since midnight before the first session: weekly sessions at ten, a trial every 4 s.
        "TIME": np.round(7.0 * (design.session - 1) + 10 / 24 + _seconds(design) / 86400, 8),
        "ISOLD": old.astype(int),
        "ISCORRECT": (said_old == old).astype(int),
        "RT": reaction.astype(int),
        "CHANGEMIND": np.zeros(n_trials, int),
        "MEMORYRECENT": np.where(old, numbers - last - 1, np.nan),
        "MEMORYFIRST": np.where(old, numbers - first - 1, np.nan),
        "ISOLDCURRENT": old_here.astype(int),
        "ISCORRECTCURRENT": (said_old == old_here).astype(int),
        "TOTAL1": (button == 1).astype(int),
        "TOTAL2": (button == 2).astype(int),
        "BUTTON": button,
        "MISSINGDATA": np.zeros(n_trials, int),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(BEHAVIOUR)
        for row in zip(*(columns[name].tolist() for name in BEHAVIOUR), strict=True):
            writer.writerow("NaN" if value != value else value for value in row)


def _presentations(design: Design) -> npt.NDArray[np.int64]:
    """First, second and third presentations in every session, shape (3, S)."""
    counts = np.zeros((_REPEATS, design.n_sessions), np.int64)
    np.add.at(counts, (design.repeat(), design.session - 1), 1)
    return counts


def _pattern(design: Design) -> npt.NDArray[np.int64]:
    """1 where a slot of a run holds a trial, 0 where it is blank, shape (S, 12, slots)."""
    slots = max(_LEAST_PATTERN, _LEAD_BLANKS + int(design.trial.max()) + _TAIL_BLANKS)
    pattern = np.zeros((design.n_sessions, N_RUNS, slots), np.int64)
    pattern[design.session - 1, design.run - 1, _LEAD_BLANKS + design.trial - 1] = 1
    return pattern


def _trials_of_pictures(design: Design) -> npt.NDArray[np.int64]:
    """Trial numbers of every 10k number's presentations, shape (K, 3), 0 where there is none."""
    trials = np.zeros((design.subjectim.shape[1], _REPEATS), np.int64)
    trials[design.order - 1, design.repeat()] = np.arange(1, len(design.order) + 1)
    return trials


def _memory(
    design: Design,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Trial of the first, the latest, and the latest presentation in this session; -1 for none."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    rows = []
    for trial, picture in enumerate(design.order.tolist()):
        latest = last.get(picture, -1)
        same = latest >= 0 and design.session[latest] == design.session[trial]
        rows.append((first.get(picture, -1), latest, latest if same else -1))
        first.setdefault(picture, trial)
        last[picture] = trial
    table = np.array(rows, np.int64)
    return table[:, 0], table[:, 1], table[:, 2]


def _seconds(design: Design) -> npt.NDArray[np.float64]:
    """Start of every trial since its session's start: runs of five minutes, six minutes apart."""
    return 360.0 * (design.run - 1) + 4.0 * (_LEAD_BLANKS + design.trial - 1)
