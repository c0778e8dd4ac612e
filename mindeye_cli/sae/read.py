"""`mindeye sae read`: brain -> embedding -> codes, checked against each image's own codes.

Shapes: `n` images, `F` atoms.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core import stats
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.retrieval_scores import cosine
from mindeye_cli.core.threads import threads
from mindeye_cli.sae.atoms import label
from mindeye_cli.sae.decoded import open_brain
from mindeye_cli.sae.opened import Sae, open_sae, space_vectors
from mindeye_cli.sae.train import headline
from mindeye_store import open_store
from mindeye_store.errors import InvalidInput

Floats = NDArray[np.float32]
TOP = 5


def read_trials(
    store: Path,
    run: Path,
    brain: Path,
    *,
    split: str = "test",
    subject: str | None = None,
    image: str | None = None,
    seed: int = 0,
) -> Outcome:
    """Read measured responses as codes.

    Parameters
    ----------
    store, run, brain : Path
        `brain` is a decoder's RUN of the same SPACE.
    split : {"test", "train"}
    subject : str, optional
    image : str, optional
        Show this image's codes only; the check is over the whole split all the same.
    seed : int
        Of the permutations.

    Returns
    -------
    Outcome
        `agreement`: mean cosine of decoded and own codes over their means, its interval, and the
        permuted pairing with p; `atoms_r`: mean correlation over images of an atom's decoded and
        own codes; `images`: strongest atoms of each.

    Raises
    ------
    InvalidInput
        Fewer than three images, runs that do not fit, or an image that is not in the split.
    """
    opened, sae = open_store(store), open_sae(run)
    with threads():
        reader = open_brain(opened, sae, brain, split, subject)
        decoded = sae.model.codes(reader.vectors(reader.measured()))
    rows = reader.trials.image_rows
    own = sae.model.codes(space_vectors(opened, sae, rows))
    if len(rows) < 3:
        raise InvalidInput(f"the check needs three images or more, there are {len(rows)}")
    names = opened.images.ids
    ids = [names[row] for row in rows]
    values = {
        **headline(sae.info),
        "subject": reader.subject.name,
        "split": split,
        "n": len(ids),
        "agreement": agreement(decoded, own, seed),
        "atoms_r": _atom_correlation(decoded, own),
        "images": _images(sae, ids, decoded, own, image),
    }
    return Outcome(values=values)


def agreement(decoded: Floats, own: Floats, seed: int) -> dict[str, Any]:
    """Mean cosine of decoded (n, F) and own codes (n, F), each less its own mean over images."""
    cross = cosine(own - own.mean(axis=0), decoded - decoded.mean(axis=0))
    each = np.diagonal(cross).copy()
    value = float(each.mean())
    permuted = stats.permuted_entries(cross, seed).mean(axis=1)
    groups = np.arange(len(each), dtype=np.int64)
    return {
        "value": value,
        "ci95": stats.mean_interval(each, groups, seed),
        "permuted": asdict(stats.summarise(permuted, value, higher=True)),
    }


def _atom_correlation(decoded: Floats, own: Floats) -> float:
    """Mean over the atoms that vary in both."""
    both = (decoded.std(axis=0) > 0) & (own.std(axis=0) > 0)
    if not both.any():
        return float("nan")
    a, b = (x[:, both] - x[:, both].mean(axis=0) for x in (decoded, own))
    scale = np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0)
    return float(((a * b).sum(axis=0) / scale).mean())


def _images(
    sae: Sae, ids: list[str], decoded: Floats, own: Floats, image: str | None
) -> list[dict[str, Any]]:
    if image is not None and image not in ids:
        raise InvalidInput(
            f"the split has no image {image!r}", where="--image", fix=f"such as {ids[0]!r}"
        )
    chosen = range(len(ids)) if image is None else [ids.index(image)]
    return [
        {"id": ids[i], "decoded": _top(sae, decoded[i]), "own": _top(sae, own[i])} for i in chosen
    ]


def _top(sae: Sae, codes: Floats) -> list[dict[str, Any]]:
    order = np.argsort(-codes, kind="stable")[:TOP]
    return [
        {"atom": int(a), "name": label(sae.atoms[a]), "code": float(codes[a])}
        for a in order
        if codes[a] > 0
    ]
