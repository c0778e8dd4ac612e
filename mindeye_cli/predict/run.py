"""`mindeye predict`: a run's outputs for an array of responses, or for a split of a store.

Shapes: `B` rows, `V` voxels.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.atomic import refuse_existing, write_bytes
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.run_subjects import subject_of_run
from mindeye_cli.core.threads import threads
from mindeye_cli.core.trials import (
    average_trials,
    image_trials,
    refuse_trained_images,
)
from mindeye_cli.models.run_model import RunModel, load_run
from mindeye_store import InvalidInput, MissingResource, UsageProblem, open_store

Arrays = dict[str, NDArray[np.generic]]
Average = Literal["voxels", "predictions", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictRequest:
    """Options of `mindeye predict`, as on its command line.

    Attributes
    ----------
    run, out : Path
        The RUN folder, and the `.npz` file to write.
    voxels : Path or None
        A `.npy` file of responses (B, V), z-scored as the run's training responses were.
    store : Path or None
        A feature store, in place of `voxels`.
    split : {"train", "test"}
    subject : str or None
        One of the run's; None takes its only one.
    average : {"voxels", "predictions", "none"}
        Repeats are averaged before the model, after it, or kept as single trials.
    seed : int
        Of the prior's samples.
    """

    run: Path
    out: Path
    voxels: Path | None = None
    store: Path | None = None
    split: Literal["train", "test"] = "test"
    subject: str | None = None
    average: Average = "voxels"
    seed: int = 0
    overwrite: bool = False


def predict(request: PredictRequest) -> Outcome:
    """Write a run's outputs.

    Parameters
    ----------
    request : PredictRequest

    Returns
    -------
    Outcome
        Value `arrays`: name -> shape and dtype. From a store the file also holds `image_rows` and,
        for single trials, `trial_rows`.

    Raises
    ------
    UsageProblem
        Neither or both of voxels and store were given; the output exists; or which of the run's
        subjects is not said.
    MissingResource, InvalidInput
        The responses are absent, do not fit the run, or are a test set that trained it.
    """
    if (request.voxels is None) == (request.store is None):
        raise UsageProblem("give either --voxels FILE or --store STORE")
    refuse_existing(request.out, request.overwrite)
    model = load_run(request.run, request.subject)
    with threads():
        if request.voxels is not None:
            arrays: Arrays = dict(model.predict(read_voxels(request.voxels), request.seed))
        else:
            arrays = _from_store(model, request)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(request.out, buffer.getvalue())
    shapes = {name: {"shape": a.shape, "dtype": str(a.dtype)} for name, a in arrays.items()}
    return Outcome(outputs=(request.out,), values={"arrays": shapes})


def read_voxels(path: Path) -> NDArray[np.float32]:
    """Read responses (B, V) from a `.npy` file.

    Raises
    ------
    MissingResource, InvalidInput
        The file is absent, is no plain array, or does not hold numbers.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except FileNotFoundError as problem:
        raise MissingResource("the responses are absent", where=str(path)) from problem
    except (ValueError, EOFError) as problem:
        raise InvalidInput(f"not a plain .npy array: {problem}", where=str(path)) from problem
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise InvalidInput(
            "not an array of numbers", where=str(path), fix="save it with numpy.save(FILE, voxels)"
        )
    return values.astype(np.float32)


def _from_store(model: RunModel, request: PredictRequest) -> Arrays:
    """Outputs for one split of one subject."""
    assert request.store is not None
    store = open_store(request.store)
    subject = subject_of_run(store, request.run, model.info, request.subject)
    trials = image_trials(subject, request.split)
    refuse_trained_images(request.run, model.info, request.split, trials.image_rows, store)
    if request.average == "voxels":
        found: Arrays = dict(model.predict(average_trials(subject, trials), request.seed))
        return found | {"image_rows": trials.image_rows}
    each = model.predict(subject.voxels.read(trials.trial_rows), request.seed)
    if request.average == "none":
        rows = trials.image_rows[trials.groups]
        return {**each, "image_rows": rows, "trial_rows": trials.trial_rows}
    means: Arrays = {}
    for key, values in each.items():
        sums = np.add.reduceat(values.astype(np.float64), trials.starts[:-1], axis=0)
        counts = trials.counts.reshape(-1, *([1] * (values.ndim - 1)))
        means[key] = (sums / counts).astype(np.float32)
    return means | {"image_rows": trials.image_rows}
