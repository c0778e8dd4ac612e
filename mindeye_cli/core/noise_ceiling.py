"""NSD's noise ceiling (Allen et al. 2022; its code's `export_noiseceiling`, `translatevmetric`).

After z-scoring within a session, signal and noise variance add up to 1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Repeats without any noise would have an infinite ratio.
LEAST_NOISE = 1e-12


def ncsnr(noise_variance: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Signal-to-noise ratio of z-scored betas from the variance between repeats of one image.

    Parameters
    ----------
    noise_variance : ndarray of float64, any shape
        Mean over images of the unbiased variance over an image's repeats.

    Returns
    -------
    ndarray of float32, same shape
        `sqrt(max(0, 1 - v)) / sqrt(v)`.
    """
    variance = np.maximum(noise_variance, LEAST_NOISE)
    return np.asarray(np.sqrt(np.maximum(1 - variance, 0) / variance), np.float32)


def noise_ceiling(ratio: npt.NDArray[np.float32], trials: float = 1) -> npt.NDArray[np.float32]:
    """Share of the variance that any model can explain in the mean of `trials` trials.

    Parameters
    ----------
    ratio : ndarray of float32, any shape
        `ncsnr`.
    trials : float
        Trials averaged.

    Returns
    -------
    ndarray of float32, same shape
        `ncsnr^2 / (ncsnr^2 + 1 / trials)`, from 0 to 1.
    """
    squared = np.square(ratio)
    return np.asarray(squared / (squared + 1 / trials), np.float32)
