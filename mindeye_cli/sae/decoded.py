"""A brain run's decoded embeddings of measured trials, brought to the scale of the SPACE.

A decoder's outputs are shrunk towards their mean (ridge), or tell angles alone (contrastive
heads). So the mean output over training responses is taken away, and what remains is laid at the
usual distance from the training images' mean before it is encoded into atoms.

Shapes: `n` images, `V` voxels, `D` flattened width.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.run_subjects import subject_of_run
from mindeye_cli.core.runs import differs, read_run
from mindeye_cli.core.trials import (
    ImageTrials,
    average_trials,
    image_trials,
    refuse_trained_images,
    training_trials,
)
from mindeye_cli.models.run_model import RunModel, load_run
from mindeye_cli.sae.opened import Sae, need_images_space
from mindeye_store import Store, Subject
from mindeye_store.errors import InvalidInput

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
OUTPUT = {"high-level": "retrieval", "ridge": "prediction"}
# Training images whose outputs make the mean: more change it little.
CENTRE_IMAGES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class BrainReader:
    """A brain run that reads responses of one subject as vectors of the autoencoder's SPACE.

    Attributes
    ----------
    model : RunModel
    subject : Subject
    trials : ImageTrials
        Of the split.
    training : ImageTrials
        Of the training images.
    mean : float64 array (D,)
        Mean output over training responses.
    sae : Sae
    """

    model: RunModel
    subject: Subject
    trials: ImageTrials
    training: ImageTrials
    mean: NDArray[np.float64]
    sae: Sae

    def directions(self, voxels: Floats) -> NDArray[np.float64]:
        """Decoded directions from the mean at length 1, (n, V) to (n, D)."""
        centred = _outputs(self.model, voxels) - self.mean
        lengths = np.linalg.norm(centred, axis=1, keepdims=True)
        return np.asarray(centred / np.where(lengths > 0, lengths, 1.0))

    def vectors(self, voxels: Floats) -> Floats:
        """Decoded vectors of the SPACE, (n, V) to float32 (n, D)."""
        return self.sae.at_length(self.directions(voxels))

    def measured(self) -> Floats:
        """Mean response to every image of the split, float32 (n, V)."""
        return average_trials(self.subject, self.trials)


def open_brain(store: Store, sae: Sae, brain: Path, split: str, subject: str | None) -> BrainReader:
    """Open a brain run beside an autoencoder.

    Raises
    ------
    InvalidInput
        A run without an embedding, of another space or encoder, of other voxels, or one that was
        trained on the images of the split.
    UsageProblem
        Which of the run's subjects is not said.
    """
    need_images_space(sae)
    info = read_run(brain)
    if info.kind not in OUTPUT:
        raise InvalidInput(
            f"{'an' if info.kind == 'sae' else 'a'} {info.kind} run decodes no embedding",
            where=str(brain),
            fix="give a run of `mindeye train high-level` or `mindeye train ridge` to --brain",
        )
    if info.space != sae.info.space or differs(info.targets, sae.info.targets, "encoder"):
        raise InvalidInput(
            f"the brain run decodes {info.space}, the autoencoder reads {sae.info.space}"
            if info.space != sae.info.space
            else f"the brain run and the autoencoder know {info.space} from different encoders",
            where=str(brain),
            fix=f"mindeye train ridge STORE RUN --space {sae.info.space}",
        )
    source = subject_of_run(store, brain, info, subject)
    trials = image_trials(source, "test" if split == "test" else "train")
    refuse_trained_images(brain, info, split, trials.image_rows, store)
    model = load_run(brain, source.name)
    training = training_trials(store, source)
    some = np.linspace(0, len(training.image_rows) - 1, CENTRE_IMAGES).astype(np.int64)
    responses = average_trials(source, training.take(np.unique(some)))
    mean = _outputs(model, responses).mean(axis=0)
    return BrainReader(
        model=model, subject=source, trials=trials, training=training, mean=mean, sae=sae
    )


def _outputs(model: RunModel, voxels: Floats) -> NDArray[np.float64]:
    name = OUTPUT[model.kind]
    rows = model.predict(voxels, outputs=(name,))[name]
    if not np.isfinite(rows).all():
        raise InvalidInput("the run's predictions are not finite", where=str(model.run))
    return rows.reshape(len(rows), -1).astype(np.float64)
