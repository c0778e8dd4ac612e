"""NSD's noise-ceiling SNR (Allen et al. 2022; `export_noiseceiling` of the paper's code).

After z-scoring within a session, signal and noise variance add up to 1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Repeats without any noise would have an infinite ratio, which the store refuses.
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


def explainable_variance(
    snr: npt.NDArray[np.floating], repeats: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Share of the variance of averaged responses that is signal, from 0 to 1.

    Parameters
    ----------
    snr : ndarray of float, any shape
        Noise-ceiling SNR of voxels.
    repeats : array of int (n_images,)
        Trials behind each image's average; images of 1, 2 and 3 trials may be mixed.

    Returns
    -------
    ndarray of float64, the shape of `snr`
        `snr^2 / (snr^2 + mean(1 / repeats))` (Allen et al. 2022, and NSD's data manual).
    """
    square = np.asarray(snr, dtype=np.float64) ** 2
    noise = float(np.mean(1.0 / np.asarray(repeats, dtype=np.float64)))
    return np.asarray(square / (square + noise))
