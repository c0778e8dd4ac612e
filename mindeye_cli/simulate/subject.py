"""One subject's brain and its betas, session by session.

Shapes: `T` trials, `S` sessions, `K` pictures of one subject, `V` voxels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mindeye_cli.core.noise_ceiling import ncsnr
from mindeye_cli.core.sampler import rng
from mindeye_cli.simulate.anatomy import Anatomy, build_anatomy
from mindeye_cli.simulate.design import Design
from mindeye_cli.simulate.noise import (
    Noise,
    draw_noise,
    session_drift,
    session_gain,
    session_noise,
)
from mindeye_cli.simulate.settings import SimulateConfig
from mindeye_cli.simulate.stimuli import Stimuli
from mindeye_cli.simulate.tuning import Tuning, draw_tuning, noise_free

Floats = npt.NDArray[np.float32]

INTEGER_SCALE = 300  # NSD stores percent signal change times 300 as int16
# Voxels written as zero, as NSD writes invalid ones: a share of all, most of them in every session,
# the others in one.
_DEAD, _ALWAYS_DEAD = 0.004, 0.67


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The truth about one subject.

    Parameters
    ----------
    number : int
        1 to 8.
    anatomy, tuning, noise
        Where the voxels lie, what they respond to, and what disturbs them.
    response : ndarray of float32, shape (K, V)
        Noise-free responses in units of the trial noise's SD, by 10k number.
    baseline, scale : ndarray of float32, shape (V,)
        Mean response and SD of the trial noise, in percent signal change.
    dead : ndarray of int16, shape (V,)
        -1: zero in every session; n > 0: zero in session n; 0: alive.
    gain : ndarray of float32, shape (S, V)
        Factor on everything but the baseline, per session.
    """

    number: int
    anatomy: Anatomy
    tuning: Tuning
    noise: Noise
    response: Floats
    baseline: Floats
    scale: Floats
    dead: npt.NDArray[np.int16]
    gain: Floats

    @property
    def name(self) -> str:
        """As NSD writes it, such as `subj01`."""
        return f"subj{self.number:02d}"


def make_subject(
    number: int,
    config: SimulateConfig,
    design: Design,
    stimuli: Stimuli,
    maps: dict[str, Floats],
) -> Subject:
    """Draw one subject; the draw depends on the seed and the subject's number alone."""
    rows = design.stimulus[number]
    anatomy = build_anatomy(config.voxels, number)
    tuning = draw_tuning(anatomy, config.seed, number, config.snr)
    random = rng(config.seed, "subject", number)
    gain = np.stack([session_gain(config.voxels, random) for _ in range(design.n_sessions)])
    return Subject(
        number=number,
        anatomy=anatomy,
        tuning=tuning,
        noise=draw_noise(anatomy, config.seed, number),
        response=noise_free(
            tuning,
            {name: values[rows] for name, values in maps.items()},
            [stimuli.scenes[row] for row in rows],
        ),
        baseline=(0.6 + 0.5 * random.standard_normal(config.voxels)).astype(np.float32),
        scale=random.lognormal(0.3, 0.35, config.voxels).astype(np.float32),
        dead=_dead(config.voxels, design.n_sessions, random),
        gain=gain,
    )


def session_betas(
    subject: Subject, config: SimulateConfig, design: Design
) -> Iterator[npt.NDArray[np.int16]]:
    """The betas of every session in turn, as NSD stores them.

    Yields
    ------
    ndarray of int16, shape (T of the session, V)
        Percent signal change times 300.
    """
    for session in range(1, design.n_sessions + 1):
        shown = design.order[design.session == session] - 1
        random = rng(config.seed, "session", subject.number, session)
        trials = session_noise(subject.noise, len(shown), random)
        trials += session_drift(subject.noise, len(shown), random)
        trials += subject.response[shown]
        trials *= subject.gain[session - 1] * subject.scale
        offset = 0.15 * random.standard_normal(len(subject.scale))
        trials += subject.baseline + offset.astype(np.float32)
        trials[:, (subject.dead == -1) | (subject.dead == session)] = 0
        limits = np.iinfo(np.int16)
        stored = np.clip(np.rint(trials * INTEGER_SCALE), limits.min, limits.max)
        yield stored.astype(np.int16)


def measured_ncsnr(
    betas: list[npt.NDArray[np.int16]], design: Design, repeats: int
) -> Floats | None:
    """NSD's noise-ceiling SNR of the betas as written, over all trials.

    Parameters
    ----------
    betas : list of ndarray of int16, shape (T, V) each
        The sessions in order.
    design : Design
    repeats : int
        Pictures shown this often enter; NSD takes those shown three times.

    Returns
    -------
    ndarray of float32, shape (V,), or None
        0 where a voxel is constant in a session; None when nothing is repeated.
    """
    if repeats < 2:
        return None
    scored = []
    alive = np.ones(betas[0].shape[1], bool)
    for values in betas:
        signal = values / np.float32(INTEGER_SCALE)
        spread = signal.std(0, ddof=1)
        alive &= spread > 0
        scored.append((signal - signal.mean(0)) / np.where(spread > 0, spread, 1))
    trials = np.concatenate(scored)
    pictures, counts = np.unique(design.order, return_counts=True)
    grouped = np.argsort(design.order, kind="stable")
    complete = np.isin(design.order[grouped], pictures[counts == repeats])
    repeated = trials[grouped[complete]].reshape(-1, repeats, trials.shape[1])
    ratio = ncsnr(repeated.var(1, ddof=1, dtype=np.float64).mean(0))
    return np.where(alive, ratio, 0).astype(np.float32)


def _dead(n_voxels: int, n_sessions: int, random: np.random.Generator) -> npt.NDArray[np.int16]:
    count = max(1, round(_DEAD * n_voxels))
    always = max(1, round(_ALWAYS_DEAD * count))
    chosen = random.permutation(n_voxels)[:count]
    dead = np.zeros(n_voxels, np.int16)
    dead[chosen[:always]] = -1
    dead[chosen[always:]] = random.integers(1, n_sessions + 1, count - always)
    return dead
