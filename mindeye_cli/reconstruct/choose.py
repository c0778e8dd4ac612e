"""Choice among candidates, by agreement with the brain's own retrieval embedding.

Nothing here receives a stimulus: the chooser sees the candidates' embeddings and the embedding
that the projector read from the brain, both in one SPACE (MindEye, 2023, section 3.4).

Shapes: `N` images, `K` candidates, `D` flattened embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Choice:
    """Outcome for one image.

    Attributes
    ----------
    best : int
        The chosen candidate.
    scores : tuple of float
        Each candidate's cosine with the brain's embedding.
    agreement : float or None
        Mean cosine among the candidates: how sure the decoder is; None for one candidate.
    """

    best: int
    scores: tuple[float, ...]
    agreement: float | None


def choose(candidates_nkd: NDArray[np.float32], brain_nd: NDArray[np.float32]) -> list[Choice]:
    """Choose the candidate nearest to the brain's embedding.

    Parameters
    ----------
    candidates_nkd : float32 array (N, K, ...)
        Embeddings of the candidate pictures; trailing axes are flattened.
    brain_nd : float32 array (N, ...)
        Retrieval embedding of the brain in the same SPACE.

    Returns
    -------
    list of Choice
        Ties go to the lower candidate number.

    Raises
    ------
    ValueError
        The two are not in one SPACE.
    """
    n_images, n_candidates = candidates_nkd.shape[:2]
    candidates = _unit(candidates_nkd.reshape(n_images, n_candidates, -1))
    brain = _unit(brain_nd.reshape(n_images, -1))
    if candidates.shape[-1] != brain.shape[-1]:
        raise ValueError("candidates and brain embedding are not in one space")
    scores = np.einsum("nkd,nd->nk", candidates, brain)
    among = np.einsum("nkd,njd->nkj", candidates, candidates)
    return [
        Choice(
            best=int(np.argmax(scores[i])),
            scores=tuple(float(s) for s in scores[i]),
            agreement=_off_diagonal_mean(among[i]),
        )
        for i in range(n_images)
    ]


def _off_diagonal_mean(matrix: NDArray[np.float64]) -> float | None:
    n = len(matrix)
    return None if n == 1 else float((matrix.sum() - np.trace(matrix)) / (n * (n - 1)))


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = rows.astype(np.float64)
    norm = np.linalg.norm(wide, axis=-1, keepdims=True)
    return np.asarray(wide / np.maximum(norm, np.finfo(np.float64).tiny))
