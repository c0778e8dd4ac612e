"""What every atom stands for: its top images and, where it is stable, its nearest words.

Shapes: `N` rows, `D` width, `F` atoms, `W` words.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.models.encoders.text import TextTower, has_text, load_text_tower
from mindeye_cli.models.sae import SparseAutoencoder
from mindeye_cli.sae.config import SHARE_FOUND
from mindeye_store.errors import MissingResource

Floats = NDArray[np.float32]
TOP_IMAGES, TOP_WORDS = 16, 3


def describe_atoms(
    model: SparseAutoencoder,
    vectors: Floats,
    ids: tuple[str, ...],
    stability: dict[str, Any],
    words: tuple[tuple[str, ...], Floats] | None,
    seeds: int,
) -> list[dict[str, Any]]:
    """One record an atom.

    Parameters
    ----------
    model : SparseAutoencoder
    vectors : float32 array (N, D)
        Of all training images.
    ids : tuple of str
    stability : dict
        Of `scores.stability`.
    words : (words, centred vectors (W, D)) or None
    seeds : int
        Other seeds that were trained.

    Returns
    -------
    list of dict
        `atom`, `frequency` (share of images that use it), `strength` (mean code where it is used),
        `peak` (mean of the largest codes), `stability`, `found`, `stable`, `words` (with cosines;
        empty for an atom that is not stable) and `images` (ids and codes, the largest first).
    """
    codes = model.codes(vectors)
    near = None if words is None else _cosines(model, words[1])
    records = []
    for atom in range(codes.shape[1]):
        column = codes[:, atom]
        order = np.argsort(-column, kind="stable")[:TOP_IMAGES]
        order = order[column[order] > 0]
        mean, found = stability["mean"], stability["found"]
        stable = found is not None and found[atom] >= SHARE_FOUND * seeds and len(order) > 0
        named: list[list[Any]] = []
        if stable and near is not None and words is not None:
            best = np.argsort(-near[atom], kind="stable")[:TOP_WORDS]
            named = [[words[0][w], float(near[atom, w])] for w in best]
        records.append(
            {
                "atom": atom,
                "frequency": float((column > 0).mean()),
                "strength": float(column[column > 0].mean()) if len(order) else 0.0,
                "peak": float(column[order].mean()) if len(order) else 0.0,
                "stability": None if mean is None else float(mean[atom]),
                "found": None if found is None else int(found[atom]),
                "stable": bool(stable),
                "words": named,
                "images": [[ids[row], float(column[row])] for row in order],
            }
        )
    return records


def name_vectors(
    space: str, weights: Path | None, vocabulary: tuple[str, ...]
) -> tuple[tuple[str, ...], Floats] | None:
    """Words and their vectors less the words' mean (W, D); None where the space has no text.

    A text tower whose weights are not on this machine is said, and atoms stay without words.
    """
    if not has_text(space):
        return None
    try:
        tower = load_text_tower(space, weights, vocabulary)
    except MissingResource as problem:
        if vocabulary:
            raise
        logging.getLogger("mindeye").warning("atoms are not named by words: %s", problem)
        return None
    return tower.words, centred_words(tower)[0]


def centred_words(tower: TextTower) -> tuple[Floats, Floats]:
    """Vectors of a tower's words less their mean (W, D), and the mean (D,)."""
    rows = tower.embed(tower.words)
    return rows - rows.mean(axis=0), rows.mean(axis=0)


def label(record: dict[str, Any]) -> str:
    """An atom's name for people: its nearest word, or its number."""
    return f"{record['words'][0][0]}?" if record["words"] else f"atom {record['atom']}"


def _cosines(model: SparseAutoencoder, words: Floats) -> Floats:
    atoms = model.dictionary.detach().numpy()
    lengths = np.maximum(np.linalg.norm(words, axis=1), 1e-12)
    return np.asarray(atoms @ words.T / lengths, dtype=np.float32)
