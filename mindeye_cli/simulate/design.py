"""Which picture is shown in which trial, session and run, with NSD's identifiers.

As in NSD, every subject sees pictures by the same order of "10k" numbers, which each subject's row
of `subjectim` turns into "73k" numbers. The shared pictures are the first 10k numbers. Both kinds
count from 1.

Shapes: `T` trials, `S` sessions, `K` pictures of one subject.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mindeye_cli.core.sampler import rng
from mindeye_cli.simulate.settings import SimulateConfig

Ints = npt.NDArray[np.int64]

N_SUBJECTS, N_RUNS = 8, 12
SESSION_TRIALS, MAX_SESSIONS = 750, 40
_LEAST_SESSIONS, _LEAST_TRIALS = 3, 40
# Presentations that never took place, as a share of the training images: repeats are unequal in
# NSD because sessions are missing.
_LOST = 0.02
# A later presentation follows the first one within a session or so with this probability.
_SOON, _SOON_SPREAD = 0.15, 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The experiment's order.

    Parameters
    ----------
    order : ndarray of int64, shape (T,)
        10k number of every trial, from 1 (`masterordering`).
    session, run, trial : ndarray of int64, shape (T,)
        Place of every trial, each from 1; `trial` counts within the run.
    subjectim : ndarray of int64, shape (8, K)
        73k numbers from 1. Subjects that are not simulated repeat the first simulated one's row,
        since no reader expects a subject without pictures.
    sharedix : ndarray of int64
        73k numbers of the shared pictures, ascending.
    stimulus : dict of int to ndarray of int64, shape (K,)
        Per subject, row of `Stimuli` behind each 10k number.
    brick : ndarray of int64
        Row of `Stimuli` behind every 73k number, from 73k number 1 on.
    """

    order: Ints
    session: Ints
    run: Ints
    trial: Ints
    subjectim: Ints
    sharedix: Ints
    stimulus: dict[int, Ints]
    brick: Ints

    @property
    def n_sessions(self) -> int:
        """Number of sessions, `S`."""
        return int(self.session[-1])

    def repeat(self) -> Ints:
        """How often each trial's picture was shown before, shape (T,)."""
        seen: dict[int, int] = {}
        before = np.empty(len(self.order), np.int64)
        for trial, picture in enumerate(self.order.tolist()):
            before[trial] = seen.get(picture, 0)
            seen[picture] = int(before[trial]) + 1
        return before


def make_design(config: SimulateConfig) -> Design:
    """Plan the experiment: identifiers, repetitions, sessions and runs."""
    n_pictures = config.shared + config.images
    total = config.shared + config.images * len(config.subjects)
    # 73k numbers are dealt out at random, so that no reader can confuse them with rows or 10k ones.
    brick = rng(config.seed, "73k").permutation(total)
    number = np.argsort(brick) + 1
    stimulus = {}
    for index, subject in enumerate(config.subjects):
        own = config.shared + index * config.images + np.arange(config.images)
        stimulus[subject] = np.concatenate([np.arange(config.shared), own])
    shown = [stimulus.get(n, stimulus[config.subjects[0]]) for n in range(1, N_SUBJECTS + 1)]
    subjectim = number[np.stack(shown)]
    order, sizes = _order(config, n_pictures)
    session = np.repeat(np.arange(1, len(sizes) + 1), sizes)
    runs = [np.array_split(np.arange(size), N_RUNS) for size in sizes]
    return Design(
        order=order,
        session=session,
        run=np.concatenate(
            [np.full(len(run), number + 1) for parts in runs for number, run in enumerate(parts)]
        ),
        trial=np.concatenate([np.arange(1, len(run) + 1) for parts in runs for run in parts]),
        subjectim=subjectim,
        sharedix=np.sort(subjectim[0, : config.shared]),
        stimulus=stimulus,
        brick=brick,
    )


def _order(config: SimulateConfig, n_pictures: int) -> tuple[Ints, Ints]:
    """10k numbers in order of presentation, from 1, and the sessions' numbers of trials."""
    random = rng(config.seed, "order")
    planned = np.repeat(np.arange(n_pictures), config.repeats)
    n_sessions = -(-len(planned) // SESSION_TRIALS)
    n_sessions = max(n_sessions, min(_LEAST_SESSIONS, len(planned) // _LEAST_TRIALS))
    n_sessions = min(max(n_sessions, 1), MAX_SESSIONS)
    time = random.random((n_pictures, config.repeats))
    soon = random.random((n_pictures, config.repeats)) < _SOON
    near = time[:, :1] + _SOON_SPREAD * random.standard_normal(time.shape)
    time = np.where(soon, near % 1, time)
    kept = np.ones(time.shape, bool)
    if config.repeats > 1:
        # So many that all sessions are equally long, as NSD's are.
        lost = int(np.ceil(_LOST * config.images))
        lost += (len(planned) - lost) % n_sessions
        dropped = random.permutation(config.images * (config.repeats - 1))[:lost]
        picture, repeat = np.divmod(dropped, config.repeats - 1)
        kept[config.shared + picture, repeat + 1] = False
    pictures = np.broadcast_to(np.arange(n_pictures)[:, None], time.shape)
    order = pictures[kept][np.argsort(time[kept], kind="stable")] + 1
    sizes = np.array([len(part) for part in np.array_split(order, n_sessions)])
    return order, sizes
