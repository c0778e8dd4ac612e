"""From brain responses to what a generator is given: embeddings, latents, retrieval embedding.

Shapes: `N` items, `K` candidates, `V` voxels, `T` tokens, `D` width, `C h w` a latent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.norms import impose_norm
from mindeye_cli.core.sampler import derived_seed
from mindeye_cli.core.trials import average_trials, image_trials, training_trials
from mindeye_cli.models.run_model import RunModel
from mindeye_cli.reconstruct.areas import read_voxels
from mindeye_cli.reconstruct.options import Options, PriorSampling
from mindeye_cli.reconstruct.plan import Item, spread

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Brain:
    """Responses of one subject, looked up by item.

    Attributes
    ----------
    trials : mapping of image row to its trial rows in the split
    read : callable
        Trial rows to voxels, float32 (n, V), z-scored per session.
    mean_train : float32 array (1, V) or None
        The mean training pattern, when it takes the place of every response.
    kept : bool array (V,) or None
        The networks read these voxels and 0, the training mean, in place of the others.
    """

    trials: dict[int, NDArray[np.int64]]
    read: Callable[[NDArray[np.int64]], Floats]
    mean_train: Floats | None
    kept: NDArray[np.bool_] | None = None

    def responses(self, item: Item) -> Floats:
        """Voxels of an item's trials, float32 (repeats, V)."""
        if self.mean_train is not None:
            return self._without(self.mean_train)
        rows = self.trials[item.image_row] if item.trial_row is None else [item.trial_row]
        return self._without(self.read(np.asarray(rows, dtype=np.int64)))

    def _without(self, voxels: Floats) -> Floats:
        return voxels if self.kept is None else np.where(self.kept, voxels, np.float32(0))


def load_brain(store: Any, subject: Any, options: Options) -> Brain:
    """Prepare the look-up of one subject's responses.

    Parameters
    ----------
    store : mindeye_store Store
    subject : mindeye_store Subject
    options : Options

    Raises
    ------
    UsageProblem, InvalidInput
        Areas that are no expression, that the subject lacks, or that leave no voxel.
    """
    table = image_trials(subject, options.split)
    rows_of_image = np.split(table.trial_rows, table.starts[1:-1])
    trials = {int(k): rows for k, rows in zip(table.image_rows, rows_of_image, strict=True)}
    mean_train = None
    if options.control == "mean-brain":
        voxels = average_trials(subject, training_trials(store, subject))
        mean_train = voxels.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
    kept = read_voxels(subject, options)
    return Brain(
        trials, lambda rows: np.asarray(subject.voxels.read(rows), np.float32), mean_train, kept
    )


def predict_items(
    model: RunModel,
    brain: Brain,
    items: tuple[Item, ...],
    outputs: tuple[str, ...],
    average: str,
) -> dict[str, Floats]:
    """Outputs of a run for each item, repeats combined as asked; the voxels are read once.

    Parameters
    ----------
    model : RunModel
    brain : Brain
    items : tuple of Item
    outputs : tuple of str
        Of `backbone`, `retrieval`, `latent`, `prediction`.
    average : {"voxels", "predictions", "none"}

    Returns
    -------
    dict of float32 arrays (N, ...)
    """
    responses = [brain.responses(item) for item in items]
    if average != "predictions":
        voxels = np.stack([r.mean(axis=0, dtype=np.float64) for r in responses])
        return model.predict(voxels.astype(np.float32), outputs=outputs)
    each = model.predict(np.concatenate(responses), outputs=outputs)
    ends = np.cumsum([len(r) for r in responses])[:-1]
    return {
        name: np.stack([p.mean(axis=0, dtype=np.float64) for p in np.split(rows, ends)]).astype(
            np.float32
        )
        for name, rows in each.items()
    }


def semantic(
    model: RunModel, brain: Brain, items: tuple[Item, ...], average: str, prior: PriorSampling
) -> tuple[Floats, Floats]:
    """Embeddings for the generator and for the choice.

    Returns
    -------
    embedding : float32 array (N * K, T, D)
        Prior samples of a high-level run, one for each candidate; a ridge run's prediction,
        repeated. In the norm of the run's SPACE.
    brain : float32 array (N, T, D)
        What the choice compares candidates with: the projector's embedding, or the prediction.
    """
    if model.kind == "ridge":
        predicted = predict_items(model, brain, items, ("prediction",), average)["prediction"]
        return spread(impose_norm(predicted, model.target_norm), items), predicted
    found = predict_items(model, brain, items, ("backbone", "retrieval"), average)
    # Seeds of its own: from the candidate's, the generator draws its initial noise.
    seeds = [derived_seed(seed, "prior") for item in items for seed in item.seeds]
    tokens = spread(found["backbone"], items)
    samples = model.sample_prior(tokens, seeds, prior.steps or None, prior.samples)
    return samples, found["retrieval"]
