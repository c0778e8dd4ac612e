"""Which picture each trial showed, and which pictures all subjects share.

Two files say it: `nsd_expdesign.mat` (masterordering, subjectim and sharedix count from 1) and
`nsd_stim_info_merged.csv` (nsdId counts from 0, trials from 1); `responses.tsv` says it again for
the sessions behaved in. Whatever is there must agree. Pictures are numbered from 0 here, as rows
of `imgBrick`.

Shapes: `N` trials of the subject's whole design.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.prepare.nsd.layout import NsdLayout
from mindeye_cli.prepare.nsd.responses import Responses, read_responses
from mindeye_cli.prepare.nsd.stimulus_table import StimulusTable, read_stimulus_table
from mindeye_store.errors import InvalidInput, MissingResource

# Trials in the 12 runs of a session (NSD data manual): 750 in all.
NSD_RUNS = (63, 62) * 6
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A subject's trials in order.

    Attributes
    ----------
    image : int64 array (N,)
        Picture of every trial, from 0.
    shared : int64 array
        Pictures shown to all subjects, ascending: the test set.
    runs : tuple of tuple of int
        Trials in every run of every session.
    table : StimulusTable or None
        What is known of the pictures beside their number.
    """

    image: Integers
    shared: Integers
    runs: tuple[tuple[int, ...], ...]
    table: StimulusTable | None

    def trials_in(self, session: int) -> int:
        """Number of trials of a session counted from 1."""
        return sum(self.runs[session - 1])

    def first_trial(self, session: int) -> int:
        """Trials before a session counted from 1."""
        return sum(sum(runs) for runs in self.runs[: session - 1])


@dataclass(frozen=True, slots=True)
class _MatDesign:
    image: Integers
    shared: Integers
    runs: tuple[tuple[int, ...], ...] | None


def read_design(layout: NsdLayout) -> Design:
    """Read the subject's design from every source that is there.

    Raises
    ------
    MissingResource
        Neither the MATLAB file nor the table is there.
    InvalidInput
        A source is damaged, or two of them disagree.
    """
    matlab = _read_matlab(layout.design, layout.subject) if layout.design.exists() else None
    table = None
    if layout.stimulus_table.exists():
        table = read_stimulus_table(layout.stimulus_table, layout.subject)
    if matlab is None and table is None:
        raise MissingResource(
            "neither design file is there: nsd_expdesign.mat or nsd_stim_info_merged.csv",
            where=str(layout.experiments),
            fix="download one of them from NSD's bucket",
        )
    if matlab is not None and table is not None:
        _must_agree(matlab, table, layout)
    source: Any = matlab or table
    responses = read_responses(layout.responses) if layout.responses.exists() else None
    runs = _runs(matlab, responses, len(source.image), layout)
    design = Design(image=source.image, shared=source.shared, runs=runs, table=table)
    if responses is not None:
        _check_responses(design, responses, layout.responses)
    return design


def _read_matlab(path: Path, subject: int) -> _MatDesign:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(path)
    # What scipy raises for damaged files, and NotImplementedError for files of MATLAB 7.3.
    except (
        MatReadError,
        ValueError,
        TypeError,
        OSError,
        EOFError,
        NotImplementedError,
        LookupError,
        MemoryError,
        zlib.error,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidInput(f"cannot be read as a MATLAB file: {reason}", where=str(path)) from error
    order = _counted_from_one(content, "masterordering", path).ravel()
    shared = _counted_from_one(content, "sharedix", path).ravel()
    pictures = _counted_from_one(content, "subjectim", path, row=subject - 1)
    if order.max() > len(pictures):
        raise InvalidInput(
            f"masterordering goes up to {order.max()} but subjectim has {len(pictures)} columns",
            where=f"{path}, key masterordering",
        )
    runs = None
    if "stimpattern" in content:
        counts = np.asarray(content["stimpattern"]).astype(np.int64).sum(axis=-1)
        runs = tuple(tuple(int(n) for n in row) for row in np.atleast_2d(counts))
    return _MatDesign(pictures[order - 1] - 1, np.unique(shared) - 1, runs)


def _counted_from_one(
    content: dict[str, Any], key: str, path: Path, row: int | None = None
) -> Integers:
    """A variable, or one row of it, as whole numbers that count from 1."""
    where = f"{path}, key {key}"
    if key not in content:
        raise InvalidInput("the design file lacks a variable", where=where)
    values = np.atleast_2d(np.asarray(content[key]))
    if row is not None:
        if row >= len(values):
            raise InvalidInput(
                f"has {len(values)} subjects, subject {row + 1} was asked for", where=where
            )
        values = values[row]
    if values.dtype.kind not in "iuf" or not values.size or (values != np.round(values)).any():
        raise InvalidInput("not whole numbers", where=where)
    if values.min() < 1:
        raise InvalidInput(
            f"holds {int(values.min())}, but NSD counts from 1 here",
            where=where,
            fix="add 1 to every value, or ask for a subject that is there",
        )
    return values.astype(np.int64)


def _must_agree(matlab: _MatDesign, table: StimulusTable, layout: NsdLayout) -> None:
    files = f"{layout.design.name} and {layout.stimulus_table.name} in {layout.experiments}"
    known = min(len(matlab.image), len(table.image))
    different = np.flatnonzero(matlab.image[:known] != table.image[:known])
    if len(different):
        trial = int(different[0])
        raise InvalidInput(
            f"the design files disagree on {len(different)} of {known} trials: trial {trial + 1}"
            f" shows picture {matlab.image[trial]} in one and {table.image[trial]} in the other"
            " (counted from 0)",
            where=files,
            fix="take both files from the same release",
        )
    if len(matlab.image) != len(table.image):
        raise InvalidInput(
            f"the design files list {len(matlab.image)} and {len(table.image)} trials", where=files
        )
    if not np.array_equal(matlab.shared, table.shared):
        raise InvalidInput(
            f"sharedix names {len(matlab.shared)} pictures and shared1000 {len(table.shared)},"
            " not the same ones",
            where=files,
            fix="take both files from the same release",
        )


def _runs(
    matlab: _MatDesign | None, responses: Responses | None, n_trials: int, layout: NsdLayout
) -> tuple[tuple[int, ...], ...]:
    """Trials per run and session: from stimpattern, else the behaviour, else NSD's own numbers."""
    if matlab is not None and matlab.runs is not None:
        runs = matlab.runs
    elif responses is not None:
        runs = responses.runs()
    else:
        runs = (NSD_RUNS,) * (n_trials // sum(NSD_RUNS))
    listed = sum(sum(session) for session in runs)
    if listed > n_trials or not runs:
        raise InvalidInput(
            f"the sessions hold {listed} trials but the design lists {n_trials}",
            where=str(layout.experiments),
        )
    return runs


def _check_responses(design: Design, responses: Responses, path: Path) -> None:
    for session in np.unique(responses.session):
        if session > len(design.runs):
            raise InvalidInput(f"session {session} is not in the design", where=str(path))
        shown = responses.image[responses.session == session]
        start = design.first_trial(int(session))
        planned = design.image[start : start + design.trials_in(int(session))]
        if len(shown) != len(planned):
            raise InvalidInput(
                f"session {session} has {len(shown)} rows but the design has {len(planned)} trials",
                where=str(path),
            )
        different = np.flatnonzero(shown != planned)
        if len(different):
            trial = int(different[0])
            raise InvalidInput(
                f"session {session}, row {trial + 1} of it: 73KID is {shown[trial] + 1} but the"
                f" design shows {planned[trial] + 1}",
                where=str(path),
                fix="take the behaviour and the design from the same release",
            )
