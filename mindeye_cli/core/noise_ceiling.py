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
