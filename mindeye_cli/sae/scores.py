"""How good an autoencoder is: on held-out rows, beside linear codes, and over seeds.

Shapes: `N` rows, `D` width, `F` atoms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from mindeye_cli.core.sampler import rng
from mindeye_cli.models.sae import SparseAutoencoder
from mindeye_cli.sae.config import FOUND

Floats = NDArray[np.floating]
NMF_STEPS = 200


def reconstruction(model: SparseAutoencoder, train: Floats, held: Floats) -> dict[str, float]:
    """Scores on held-out rows.

    Returns
    -------
    dict
        `r2` (share of the variance around the training mean), `cosine` (mean, of centred rows),
        `l0` (mean codes of a row that are not zero) and `dead` (share of the atoms that no training
        row uses).
    """
    codes = model.codes(held)
    made = model.vectors(codes)
    centre = train.mean(axis=0)
    lengths = np.linalg.norm(held - centre, axis=1) * np.linalg.norm(made - centre, axis=1)
    products = ((held - centre) * (made - centre)).sum(axis=1)
    return {
        "r2": explained(held, made, centre),
        "cosine": float(np.mean(products / np.maximum(lengths, 1e-12))),
        "l0": float((codes > 0).sum(axis=1).mean()),
        "dead": float((model.codes(train).max(axis=0) <= 0).mean()),
    }


def explained(held: Floats, made: Floats, centre: Floats) -> float:
    """1 - residual over total variance around `centre`."""
    total = float(((held - centre) ** 2).sum())
    return 1.0 - float(((held - made) ** 2).sum()) / max(total, 1e-12)


def pca_r2(train: Floats, held: Floats, components: int) -> float:
    """The same share when rows are described by so many principal components."""
    centre = train.mean(axis=0)
    right = np.linalg.svd(train - centre, full_matrices=False)[2][:components]
    return explained(held, (held - centre) @ right.T @ right + centre, centre)


def nmf_r2(train: Floats, held: Floats, components: int, seed: int) -> float:
    """The same share for semi-nonnegative factors, whose codes are positive as an atom's are.

    `X - mean ~ codes @ parts` with codes >= 0 and parts of either sign, by the multiplicative
    updates of Ding, Li and Jordan 2010 (IEEE TPAMI 32:45); held-out codes by the same updates.
    """
    centre = train.mean(axis=0)
    x = (train - centre).astype(np.float64)
    codes: Floats = np.abs(rng(seed, "nmf").standard_normal((len(x), components))) + 0.1
    for _ in range(NMF_STEPS):
        parts = np.linalg.lstsq(codes, x, rcond=None)[0]
        codes = _positive_codes(x, parts, codes, steps=1)
    y = (held - centre).astype(np.float64)
    start = np.full((len(y), components), float(codes.mean()))
    return explained(held, _positive_codes(y, parts, start, NMF_STEPS) @ parts + centre, centre)


def _positive_codes(x: Floats, parts: Floats, codes: Floats, steps: int) -> Floats:
    aligned, gram = x @ parts.T, parts @ parts.T
    up, down = np.maximum(aligned, 0), np.maximum(-aligned, 0)
    for _ in range(steps):
        above = up + codes @ np.maximum(-gram, 0)
        below = down + codes @ np.maximum(gram, 0)
        codes = codes * np.sqrt((above + 1e-12) / (below + 1e-12))
    return codes


def matched_cosines(atoms: Floats, others: Floats) -> NDArray[np.float64]:
    """Cosine of every atom with its partner in another dictionary.

    Parameters
    ----------
    atoms, others : float arrays (F, D)
        Rows of length 1; a dead atom is a row of zeros and its partner counts 0.

    Returns
    -------
    float64 array (F,)
        Under the one-to-one assignment of greatest total cosine.
    """
    cosine = np.asarray(atoms, dtype=np.float64) @ np.asarray(others, dtype=np.float64).T
    rows, columns = linear_sum_assignment(-cosine)
    found = np.zeros(len(atoms))
    found[rows] = cosine[rows, columns]
    return found


def living_atoms(model: SparseAutoencoder, train: Floats) -> NDArray[np.float32]:
    """The dictionary with a row of zeros for every atom that no training row uses."""
    used = model.codes(train).max(axis=0) > 0
    return np.asarray(model.dictionary.detach().numpy() * used.reshape(-1, 1), dtype=np.float32)


def stability(atoms: NDArray[np.float32], others: Sequence[NDArray[np.float32]]) -> dict[str, Any]:
    """How well every atom is found again in dictionaries of other seeds.

    Returns
    -------
    dict
        `mean` (F,): matched cosine, mean over seeds; `found` (F,): in how many seeds it is at least
        .7; both None without other seeds.
    """
    if not others:
        return {"mean": None, "found": None}
    cosines = np.stack([matched_cosines(atoms, other) for other in others])
    return {"mean": cosines.mean(axis=0), "found": np.sum(cosines >= FOUND, axis=0)}
