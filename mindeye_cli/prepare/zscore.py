"""Z-scoring of every voxel per session, with statistics of training trials only.

Statistics of test trials would tell the training set about the test set (MindEye2's preparation
notebook warns of exactly that), so `session`, which uses all trials, exists only to match weights
published with it.

Shapes: `N` trials, `V` voxels, `S` sessions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.prepare.table import TrialTable
from mindeye_cli.prepare.voxels import RawTrials, Rows
from mindeye_store.errors import InvalidInput

ZScore = Literal["train", "session", "none"]
# Trials held at once. Part of the result: it fixes the order in which sums are formed.
CHUNK_TRIALS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidVoxels:
    """Voxels without a usable response in at least one session.

    Attributes
    ----------
    mask : bool array (V,)
    reasons : dict of str to list of int
        Positions of voxels (in the order of the mask) by what is wrong with them.
    first_session : int
        The first session in which one was found; 0 when there is none.
    """

    mask: NDArray[np.bool_]
    reasons: dict[str, list[int]]
    first_session: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moments:
    """Mean, deviation and whether a voxel is 0 throughout, each (V,)."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    zero: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStatistics:
    """Mean and standard deviation (division by the number of trials) of each session.

    Attributes
    ----------
    sessions : int16 array (S,), ascending
    mean, std : float64 arrays (S, V)
    invalid : InvalidVoxels
    """

    sessions: NDArray[np.int16]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    invalid: InvalidVoxels

    def apply(self, raw: RawTrials, table: TrialTable, rows: Rows) -> NDArray[np.float64]:
        """Read trials and z-score each with its own session's statistics, float64 (k, V)."""
        own = np.searchsorted(self.sessions, table.session[rows])
        with np.errstate(invalid="ignore", divide="ignore"):
            scores: NDArray[np.float64] = (raw.read(rows) - self.mean[own]) / self.std[own]
        return scores


def fit_sessions(raw: RawTrials, table: TrialTable, mode: ZScore, source: str) -> SessionStatistics:
    """Statistics of every session, and the voxels that cannot be used.

    Parameters
    ----------
    raw : RawTrials, N trials of V voxels
    table : TrialTable
    mode : {"train", "session", "none"}
        Which trials count: all with `session`, else those of the training split (`none` does not
        z-score what is stored, but reliability is still measured on z-scores).
    source : str
        Where the responses come from, for messages.

    Returns
    -------
    SessionStatistics

    Raises
    ------
    InvalidInput
        A session has fewer than two trials to take statistics from.
    """
    sessions = np.unique(table.session)
    n_voxels = raw.shape[1]
    mean, std = np.empty((2, len(sessions), n_voxels))
    found: dict[str, NDArray[np.bool_]] = {}
    first = 0
    for index, session in enumerate(sessions):
        rows = np.flatnonzero(table.session == session)
        counted = rows if mode == "session" else rows[table.train[rows]]
        _need_two(counted, f"{source}, session {session}", mode)
        finite = _finite(raw, rows)
        moments = _moments(raw, counted)
        mean[index], std[index] = moments.mean, moments.std
        flaws = {
            "not finite": ~finite,
            "all zero": finite & moments.zero,
            "constant": finite & ~moments.zero & ~(moments.std > 0),
        }
        for reason, voxels in flaws.items():
            found[reason] = found.get(reason, np.zeros(n_voxels, dtype=bool)) | voxels
        if not first and any(voxels.any() for voxels in flaws.values()):
            first = int(session)
    mask = np.logical_or.reduce(list(found.values()))
    reasons = {reason: np.flatnonzero(voxels).tolist() for reason, voxels in found.items()}
    invalid = InvalidVoxels(mask=mask, reasons=reasons, first_session=first)
    return SessionStatistics(sessions=sessions, mean=mean, std=std, invalid=invalid)


def chunks(rows: Rows, size: int = CHUNK_TRIALS) -> Iterator[Rows]:
    """Cut row numbers into runs of `size`."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _need_two(counted: Rows, where: str, mode: ZScore) -> None:
    if len(counted) >= 2:
        return
    kind = "" if mode == "session" else "training "
    raise InvalidInput(
        f"{len(counted)} {kind}trials, but its statistics need at least 2",
        where=where,
        fix="leave the session out, or use --zscore session to count all trials",
    )


def _finite(raw: RawTrials, rows: Rows) -> NDArray[np.bool_]:
    """Which voxels are finite in all of these trials, test trials included, bool (V,)."""
    finite = np.ones(raw.shape[1], dtype=bool)
    for part in chunks(rows):
        finite &= np.isfinite(raw.read(part)).all(axis=0)
    return finite


def _moments(raw: RawTrials, rows: Rows) -> _Moments:
    """Two passes, sums in float64."""
    total = np.zeros(raw.shape[1])
    low = np.full(raw.shape[1], np.inf, dtype=np.float32)
    high = -low
    with np.errstate(invalid="ignore", over="ignore"):
        for part in chunks(rows):
            values = raw.read(part)
            total += values.sum(axis=0, dtype=np.float64)
            low, high = np.minimum(low, values.min(axis=0)), np.maximum(high, values.max(axis=0))
        mean = total / len(rows)
        squares = np.zeros(raw.shape[1])
        for part in chunks(rows):
            squares += ((raw.read(part) - mean) ** 2).sum(axis=0)
        # Rounding of the mean leaves a constant voxel a tiny deviation; its range is exactly 0.
        std = np.where(low == high, 0.0, np.sqrt(squares / len(rows)))
    return _Moments(mean=mean, std=std, zero=(low == 0) & (high == 0))
