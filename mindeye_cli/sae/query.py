"""`mindeye sae query`: measured responses ranked by how like XYZ what they decode to is.

Shapes: `n` images, `D` width, `F` atoms.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.retrieval_scores import cosine
from mindeye_cli.core.significance import fdr, two_sided
from mindeye_cli.core.threads import threads
from mindeye_cli.sae.atoms import label
from mindeye_cli.sae.concept import Concept, find_concept
from mindeye_cli.sae.decoded import BrainReader, open_brain
from mindeye_cli.sae.encoder import QUESTION, area_table, fit_encoder
from mindeye_cli.sae.opened import Sae, open_sae
from mindeye_cli.sae.train import headline
from mindeye_store import Store, open_store
from mindeye_store.errors import UsageProblem

Doubles = NDArray[np.float64]
AREAS_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryOptions:
    """Options of `mindeye sae query`, as on its command line.

    Attributes
    ----------
    split : {"test", "train"}
    subject : str or None
    top : int
        How many are listed.
    weights : Path or None
        Of the space's encoder.
    areas : bool
        Fit (once) and ask the encoding model which areas respond to XYZ.
    """

    split: str = "test"
    subject: str | None = None
    top: int = 10
    weights: Path | None = None
    areas: bool = True

    def __post_init__(self) -> None:
        if self.top < 1:
            raise UsageProblem(f"{self.top} is less than 1", where="--top")


def query_trials(store: Path, run: Path, asked: str, brain: Path, options: QueryOptions) -> Outcome:
    """Rank the measured responses of a split.

    Parameters
    ----------
    store, run : Path
    asked : str
        XYZ, see `concept`.
    brain : Path
        A decoder's RUN of the same SPACE.
    options : QueryOptions

    Returns
    -------
    Outcome
        `found`: the best images with `score`, `embedding` (cosine of decoded direction and XYZ) and
        `codes` (cosine of their codes); `atoms` of XYZ; `areas` with `question`.
    """
    opened, sae = open_store(store), open_sae(run)
    with threads():
        reader = open_brain(opened, sae, brain, options.split, options.subject)
        concept = find_concept(asked, opened, sae, options.weights)
        scores = likeness(sae, concept, reader.directions(reader.measured()))
        where = _areas(opened, sae, concept, reader) if options.areas else []
    values = {
        **headline(sae.info),
        "query": {"text": asked, "kind": concept.kind, "images": concept.n},
        "subject": reader.subject.name,
        "split": options.split,
        "n": len(scores[0]),
        "atoms": [{"atom": a, "name": label(sae.atoms[a])} for a in concept.top()],
        "found": _found(opened.images.ids, reader, scores, options.top),
        "question": QUESTION,
        "areas": where,
    }
    return Outcome(values=values)


def _found(
    ids: list[str], reader: BrainReader, scores: tuple[Doubles, Doubles, Doubles], top: int
) -> list[dict[str, Any]]:
    score, embedding, codes = scores
    rows, counts = reader.trials.image_rows, reader.trials.counts
    return [
        {
            "id": ids[rows[i]],
            "image_row": int(rows[i]),
            "trials": int(counts[i]),
            "score": float(score[i]),
            "embedding": float(embedding[i]),
            "codes": float(codes[i]),
        }
        for i in np.argsort(-score, kind="stable")[:top]
    ]


def likeness(sae: Sae, concept: Concept, directions: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """How like a concept decoded directions (n, D) are.

    Returns
    -------
    score, embedding, codes : float64 arrays (n,)
        Cosine with the concept's direction, cosine of codes with its codes, both less the mean
        over training images, and the mean of the two.
    """
    embedding = cosine(directions, concept.direction[None])[:, 0]
    base = np.array([atom["frequency"] * atom["strength"] for atom in sae.atoms])
    own = concept.codes if concept.kind == "atom" else concept.codes - base
    decoded = sae.model.codes(sae.at_length(directions))
    codes = cosine(decoded - base, own[None])[:, 0]
    return (embedding + codes) / 2, embedding, codes


def _areas(store: Store, sae: Sae, concept: Concept, reader: BrainReader) -> list[dict[str, Any]]:
    """Areas that respond to the concept's direction, by the encoding model of the SPACE."""
    if not reader.subject.rois:
        logging.getLogger("mindeye").warning(
            "subject %s has no ROI labels: areas are not told", reader.subject.name
        )
        return []
    fitted = fit_encoder(store, sae, reader.subject.name, "space")
    step = float(sae.model.scale) * concept.direction[None]
    change, z = fitted.maps(step)
    q = fdr(two_sided(z))
    return area_table(reader.subject, change[0], q[0], fitted.model.r.numpy())[:AREAS_SHOWN]
