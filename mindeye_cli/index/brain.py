"""Queries from brain responses: a run's retrieval embedding of each image of a split.

Shapes: `q` images, `V` voxels, `D` flattened width.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.core.neighbours.collection import Floats
from mindeye_cli.core.neighbours.queries import unit_queries
from mindeye_cli.core.run_subjects import subject_of_run
from mindeye_cli.core.runs import RunInfo, read_run
from mindeye_cli.core.trials import Rows, average_trials, image_trials, refuse_trained_images
from mindeye_cli.models.run_model import load_run
from mindeye_store.errors import InvalidInput

# The projector's output is what the published queries are.
OUTPUT = {"high-level": "retrieval", "ridge": "prediction"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """Embeddings of a split's images.

    Attributes
    ----------
    vectors : float32 array (q, D), at length 1
    image_rows : int64 array (q,)
        Global image rows of the store.
    ids : list of str
    info : RunInfo
    """

    vectors: Floats
    image_rows: Rows
    ids: list[str]
    info: RunInfo


def predict(store: Any, run: Path, split: str, subject: str | None) -> Predicted:
    """Embed the mean response to every image of a split.

    Parameters
    ----------
    store : mindeye_store Store
    run : Path
    split : {"test", "train"}
    subject : str or None
        Needed when the run was trained on several.

    Raises
    ------
    InvalidInput
        A run without such an output, of other voxels, or one that was trained on the images.
    """
    info = read_run(run)
    if info.kind not in OUTPUT:
        raise InvalidInput(
            f"a {info.kind} run has no embedding to search with",
            where=str(run),
            fix="give a run of `mindeye train high-level` or `mindeye train ridge`",
        )
    source = subject_of_run(store, run, info, subject)
    trials = image_trials(source, "test" if split == "test" else "train")
    refuse_trained_images(run, info, split, trials.image_rows, store)
    name = OUTPUT[info.kind]
    voxels = average_trials(source, trials)
    rows = load_run(run, source.name).predict(voxels, outputs=(name,))[name]
    flat = rows.reshape(len(rows), -1)
    ids = store.images.ids
    return Predicted(
        vectors=unit_queries(flat, flat.shape[1], str(run)),
        image_rows=trials.image_rows,
        ids=[ids[row] for row in trials.image_rows],
        info=info,
    )


def stimulus_vectors(store: Any, predicted: Predicted) -> Floats:
    """The stimuli's own embeddings in the run's SPACE, float32 (q, D) at length 1."""
    rows = np.asarray(store.target(predicted.info.space).read(predicted.image_rows))
    flat = rows.reshape(len(rows), -1)
    return unit_queries(flat, flat.shape[1], predicted.info.space)
