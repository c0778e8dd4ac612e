"""Encoding models behind an autoencoder: codes to voxels and embeddings to voxels, cached in RUN.

Answers which voxels *respond* to something; it says nothing about what a decoder uses.

Shapes: `N` training images, `n` features, `V` voxels, `C` contrasts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from mindeye_cli.core.fingerprint import of_json, of_state_dict
from mindeye_cli.core.rois import list_areas
from mindeye_cli.core.trials import ImageTrials, average_trials, training_trials
from mindeye_cli.models.encoding import EncodingModel, fit_encoding, row_weights
from mindeye_cli.models.encoding_files import load_encoding, save_encoding
from mindeye_cli.models.encoding_refits import permuted_spread
from mindeye_cli.sae.data import responses_of
from mindeye_cli.sae.opened import Sae, space_vectors
from mindeye_store import Store, Subject
from mindeye_store.errors import InvalidInput, UsageProblem

Floats = NDArray[np.float32]
QUESTION = "responds"
FOLDER = "encoding"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """One subject's encoding model and what it was fitted to.

    Attributes
    ----------
    model : EncodingModel
    features : float32 array (N, n)
    responses : float32 array (N, V)
        Mean training responses.
    trials : ImageTrials
    subject : Subject
    """

    model: EncodingModel
    features: Floats
    responses: Floats
    trials: ImageTrials
    subject: Subject

    def maps(self, contrasts: NDArray[np.floating]) -> tuple[Floats, Floats]:
        """Expected change of response for changes of features, and its z.

        A contrast is a weighted sum of responses, so under permuted image rows its mean is 0 and
        its variance is known exactly: the weights' sum of squares times the voxel's variance.

        Parameters
        ----------
        contrasts : float array (C, n)

        Returns
        -------
        change, z : float32 arrays (C, V)
        """
        change = self.model.contrast(contrasts).numpy()
        scores = (
            torch.from_numpy(self.features) - self.model.basis.mean
        ) @ self.model.basis.vectors
        variance = torch.from_numpy(self.responses.var(axis=0, ddof=1))
        weights = row_weights(self.trials.counts)
        spread = permuted_spread(self.model, scores, weights, variance, contrasts).numpy()
        return change, change / np.maximum(spread, 1e-12)


def fit_encoder(
    store: Store, sae: Sae, subject: str | None, of: Literal["codes", "space"]
) -> Encoder:
    """Fit, or read back, the encoder of one subject.

    Raises
    ------
    UsageProblem
        The store has several subjects and none was named.
    InvalidInput
        Too few images.
    """
    source = store.subject(subject_named(store, sae, subject))
    trials = training_trials(store, source)
    responses = average_trials(source, trials)
    features = space_vectors(store, sae, trials.image_rows)
    if of == "codes":
        features = sae.model.codes(features)
    facts = {"of": of, "space": sae.info.space, "subject": source.name}
    key = of_json(
        {
            **facts,
            "weights": of_state_dict(sae.model.state_dict()) if of == "codes" else "",
            "targets": sae.info.targets,
            "responses": source.fingerprint,
            "images": trials.image_rows.tolist(),
        }
    )
    folder = sae.run / FOLDER / f"{of}-{source.name}"
    model = load_encoding(folder, key)
    if model is None:
        model = fit_encoding(features, responses, trials.counts)
        save_encoding(folder, model, key, facts)
    return Encoder(
        model=model, features=features, responses=responses, trials=trials, subject=source
    )


def brain_codes(store: Store, sae: Sae) -> tuple[Floats, ImageTrials, Subject]:
    """Codes of an autoencoder of responses for its subject's training images."""
    source = store.subject(sae.info.subjects[0])
    places = np.asarray(sae.info.details["voxel_places"], dtype=np.int64)
    rows, _ = responses_of(store, source.name, places)
    return sae.model.codes(rows), training_trials(store, source), source


def subject_named(store: Store, sae: Sae, subject: str | None) -> str:
    """The subject that is meant: named, or the store's only one."""
    if subject is not None:
        return subject
    if len(store.subjects) == 1:
        return store.subjects[0]
    if not store.subjects:
        raise InvalidInput("the store has no subject", where=str(store.path))
    raise UsageProblem(
        f"the store has {len(store.subjects)} subjects, and none is named",
        where="--subject",
        fix=f"one of: {', '.join(store.subjects)}",
    )


def area_table(
    subject: Subject, change: Floats, q: Floats, r: Floats, level: float = 0.05
) -> list[dict[str, Any]]:
    """Areas by mean change times cross-validated r, the strongest first.

    Parameters
    ----------
    subject : Subject
    change, q, r : float32 arrays (V,)
    level : float
        Of the false discovery rate.

    Returns
    -------
    list of dict
        `area`, `atlas`, `score`, `voxels` and `significant` (share of voxels with q < level).

    Raises
    ------
    InvalidInput
        The subject has no ROI labels.
    """
    areas = list_areas(subject.rois)
    if not areas:
        raise InvalidInput(
            "the subject has no ROI labels",
            where=f"subject {subject.name}",
            fix="prepare it with ROI volumes, or with ROI columns in voxels.csv",
        )
    weighted = change * np.maximum(r, 0)
    rows = [
        {
            "area": area.name,
            "atlas": area.atlas,
            "score": float(weighted[area.voxels].mean()),
            "voxels": int(area.voxels.sum()),
            "significant": float((q[area.voxels] < level).mean()),
        }
        for area in areas
    ]
    return sorted(rows, key=lambda row: -row["score"])
