"""`mindeye train ridge`: the closed-form baseline, and its leave-one-image-out predictions.

Shapes: `N` images, `V` voxels, `Q` flattened target.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.clusters import parse_held_out
from mindeye_cli.core.config import load_config, to_toml
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.runs import finish_run
from mindeye_cli.core.threads import threads
from mindeye_cli.core.trials import average_trials, image_trials
from mindeye_cli.models.ridge_model import RidgeModel, fit
from mindeye_cli.train import folder
from mindeye_cli.train.cross_validate import leave_one_image_out, score, write_predictions
from mindeye_cli.train.data import identify, refuse_non_finite
from mindeye_cli.train.request import TrainRequest, preset_name
from mindeye_cli.train.selection import Selection
from mindeye_cli.train.targets import open_targets
from mindeye_store import Store, Subject, open_store

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
# Ridge has no sizes: both presets are the defaults.
PRESETS: dict[str, dict[str, Any]] = {"paper": {}, "scene": {}}
DECADES = tuple(float(f"{10 ** (power / 2):.6g}") for power in range(-8, 9))


@dataclass(frozen=True, slots=True, kw_only=True)
class RidgeConfig:
    """The whole configuration of `mindeye train ridge`.

    Attributes
    ----------
    seed : int
        Decides which images share an inner fold.
    alphas : tuple of float
        To choose from, relative to the mean squared singular value of the responses.
    alpha : {"target", "shared"}
        One for every target column, or one for all of them: steadier with few images.
    inner_folds : int
        Folds, grouped by image, that choose alpha; 0 leaves one image out at a time.
    whiten : bool
        Predict the targets' principal components at unit variance.
    sessions, hold_out, hold_out_space, shuffle_rows
        As in `data` of the other models (`train/config.py`).
    cv : {"none", "image"}
        `image`: also predict every image of the subject from a model that never saw it, all of
        its repeats left out together and alpha chosen anew inside each fold.
    """

    seed: int = 0
    alphas: tuple[float, ...] = DECADES
    alpha: Literal["target", "shared"] = "target"
    inner_folds: int = 0
    whiten: bool = False
    sessions: int = 0
    hold_out: str = ""
    hold_out_space: str = ""
    shuffle_rows: bool = False
    cv: Literal["none", "image"] = "none"

    def __post_init__(self) -> None:
        if not self.alphas or min(self.alphas) <= 0.0:
            raise ValueError("alphas must be positive numbers")
        if self.inner_folds < 0 or self.inner_folds == 1:
            raise ValueError("inner_folds must be 0 or at least 2")
        if self.sessions < 0:
            raise ValueError("sessions must not be negative")
        if self.hold_out:
            parse_held_out(self.hold_out, "")

    def selection(self, space: str) -> Selection:
        """Which images train beside which targets, for a run of a SPACE."""
        return Selection(
            sessions=self.sessions,
            hold_out=self.hold_out,
            hold_out_space=self.hold_out_space or space,
            shuffle_rows=self.shuffle_rows,
            seed=self.seed,
        )

    def fit(self, voxels: Floats, counts: Rows, targets: Floats) -> RidgeModel:
        """Fit mean responses (N, V) with `counts` repeats each to targets (N, Q)."""
        return fit(
            voxels,
            counts,
            targets,
            alphas=self.alphas,
            per_target=self.alpha == "target",
            folds=self.inner_folds,
            whiten=self.whiten,
            seed=self.seed,
        )


def train_ridge(request: TrainRequest) -> Outcome:
    """Fit ridge regression from mean responses to a SPACE.

    Parameters
    ----------
    request : TrainRequest

    Returns
    -------
    Outcome
        Values `steps` (0), `seconds`, `metrics`, `checkpoint`; for a dry run the plan instead.

    Raises
    ------
    MindeyeError
        Bad input or options.
    """
    folder.refuse_launcher()
    store = open_store(request.store, reader=request.reader)
    subject = store.subject(request.subject)
    config = load_config(
        RidgeConfig,
        preset=PRESETS[preset_name(request, PRESETS)],
        file=request.config,
        overrides=request.overrides,
    )
    selection = config.selection(request.space)
    (trials,) = selection.trials(store, [subject])
    (rows,) = selection.target_rows([trials.image_rows])
    voxels, targets = average_trials(subject, trials), _targets(store, request, rows)
    refuse_non_finite(voxels, f"subjects/{subject.name}/voxels", "image", trials.image_rows)
    if request.dry_run:
        return Outcome(values=_plan(voxels, targets))
    target = store.target(request.space)
    identity = identify(subject, voxels, trials.image_rows, target, store.images.ids)
    info = folder.start(
        request,
        "ridge",
        replace(identity, shuffled=config.shuffle_rows, held_out=selection.held_out),
        seed=config.seed,
        n_voxels=(voxels.shape[1],),
        config_toml=to_toml(config),
        overwrite=request.overwrite,
    )
    if info.status == "finished":
        return folder.outcome(request.run, info, found=True)
    started = time.monotonic()
    with threads():
        model = config.fit(voxels, trials.counts, targets)
        metrics: dict[str, Any] = {
            "median_alpha": float(np.median(model.alpha)),
            "n_images": len(targets),
        }
        if config.cv == "image":
            metrics |= _cross_validate(store, subject, request, config)
        metrics["seconds"] = time.monotonic() - started
        info = finish_run(request.run, model.tensors(), steps=0, metrics=metrics)
    return folder.outcome(request.run, info)


def _cross_validate(
    store: Store, subject: Subject, request: TrainRequest, config: RidgeConfig
) -> dict[str, Any]:
    """Predict every image of the subject, whatever its split, and score the predictions.

    Each prediction comes from a model of its own, so the split has no part in this; the run's own
    weights are fitted to training images alone.
    """
    trials = image_trials(subject, "all")
    targets = _targets(store, request, trials.image_rows)
    predicted = leave_one_image_out(
        average_trials(subject, trials), trials.counts, targets, config.fit
    )
    shape = store.target(request.space).shape[1:]
    write_predictions(request.run, predicted.reshape(-1, *shape), trials.image_rows)
    return score(predicted, targets, config.seed)


def _targets(store: Store, request: TrainRequest, image_rows: Rows) -> Floats:
    """Flattened targets of some images, float32 (N, Q)."""
    values = open_targets(store, request.space).read(image_rows).astype(np.float32)
    refuse_non_finite(values, f"targets/{request.space}", "image", image_rows)
    return np.asarray(values.reshape(len(values), -1))


def _plan(voxels: Floats, targets: Floats) -> dict[str, Any]:
    n, n_voxels = voxels.shape
    columns = targets.shape[1]
    needs = {
        "data": voxels.nbytes + targets.nbytes,
        # Centred matrix and its singular vectors, then targets and weights, in double precision.
        "solver": 8 * (2 * n * n_voxels + n * n + 2 * n * columns + n_voxels * columns),
        "weights": 4 * (n_voxels + 1) * columns,
    }
    return {
        "parameters": (n_voxels + 1) * columns,
        "planned_steps": 0,
        "bytes": {**needs, "total": sum(needs.values())},
    }
