"""What every voxel responds to, and its noise-free response to every picture.

Shapes: `B` images, `V` voxels, `C` channels, `G` grid cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mindeye_cli.core.sampler import rng
from mindeye_cli.core.scenes import Scene
from mindeye_cli.simulate.anatomy import Anatomy
from mindeye_cli.simulate.areas import AREAS, TUNED_SHARE
from mindeye_cli.simulate.early import EarlyTuning, draw_early, early_response
from mindeye_cli.simulate.filters import standardise
from mindeye_cli.simulate.objects import ObjectTuning, draw_objects, object_response

# Medians of the single-trial noise ceiling that the voxels are given, and their spread in logits.
# Session effects and quantisation take a little away: `benchmarks/simulator_ceiling.py` prints what
# NSD's formula measures on the written files.
EARLY_CEILING, OBJECT_CEILING, CEILING_SPREAD = 0.245, 0.135, 0.45

_EARLY = ("gabor", "colour")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """The truth about one subject's voxels.

    Parameters
    ----------
    tuned : ndarray of bool, shape (V,)
    amplitude : ndarray of float32, shape (V,)
        SD of the signal over images in units of the noise's SD; 0 for untuned voxels.
    early, objects
        Parameters of V1-V3 and hV4, and of the areas that respond to objects; rows are the voxels
        of `voxel`.
    """

    tuned: npt.NDArray[np.bool_]
    amplitude: npt.NDArray[np.float32]
    early: EarlyTuning
    objects: ObjectTuning


def draw_tuning(anatomy: Anatomy, seed: int, subject: int, snr: float) -> Tuning:
    """Draw the tuning of every voxel.

    Parameters
    ----------
    anatomy : Anatomy
    seed, subject : int
        The draw is a function of these and of the anatomy.
    snr : float
        Multiplies every amplitude.

    Returns
    -------
    Tuning
    """
    random = rng(seed, "tuning", subject)
    drives = np.array([area.drive for area in AREAS])[anatomy.area]
    share = np.array([TUNED_SHARE[drive] for drive in drives])
    tuned = random.random(len(drives)) < share
    tuned &= ~anatomy.voxels_of(anatomy.lacking)
    early = np.isin(drives, _EARLY)
    median = np.where(early, EARLY_CEILING, OBJECT_CEILING)
    logit = np.log(median / (1 - median)) + CEILING_SPREAD * random.standard_normal(len(drives))
    # Ceiling s^2 / (s^2 + 1) with noise of unit variance, so s^2 is the odds.
    amplitude = np.where(tuned, snr * np.exp(logit / 2), 0).astype(np.float32)
    return Tuning(
        tuned=tuned,
        amplitude=amplitude,
        early=draw_early(anatomy, np.flatnonzero(tuned & early), random),
        objects=draw_objects(anatomy, np.flatnonzero(tuned & ~early), random),
    )


def noise_free(
    tuning: Tuning, maps: dict[str, npt.NDArray[np.float32]], scenes: list[Scene]
) -> npt.NDArray[np.float32]:
    """Response of every voxel to every picture, without noise.

    Parameters
    ----------
    tuning : Tuning
    maps : dict
        `filters.channel_maps` of the pictures.
    scenes : list of Scene
        The same pictures' attributes.

    Returns
    -------
    ndarray of float32, shape (B, V)
        Zero mean over the pictures, SD `amplitude`.
    """
    response = np.zeros((len(scenes), len(tuning.tuned)), np.float32)
    response[:, tuning.early.voxel] = early_response(tuning.early, maps)
    response[:, tuning.objects.voxel] = object_response(tuning.objects, scenes)
    tuned = tuning.tuned
    response[:, tuned] = standardise(response[:, tuned]) * tuning.amplitude[tuned]
    return response
