"""`mindeye train high-level` and `low-level`: from a request to a finished RUN."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from mindeye_cli.core.config import to_toml
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.runs import Kind, finish_run
from mindeye_cli.core.sampler import derived_seed
from mindeye_cli.core.threads import threads
from mindeye_cli.models.high_level import HighLevelModel
from mindeye_cli.models.lowlevel import LowLevelModel
from mindeye_cli.train import folder, memory
from mindeye_cli.train.data import (
    ResponseSet,
    TrainingData,
    load_training_data,
    open_targets,
    split_items,
)
from mindeye_cli.train.draws import steps_per_epoch
from mindeye_cli.train.high_level import HighLevelTask, HighLevelTraining
from mindeye_cli.train.loop import Task, train_steps
from mindeye_cli.train.low_level import LowLevelTask, LowLevelTraining, teacher_positions
from mindeye_cli.train.request import TrainRequest
from mindeye_cli.train.resolve import high_level_config, low_level_config
from mindeye_store import Store, UsageProblem, open_store

Config = HighLevelTraining | LowLevelTraining


def train_high_level(request: TrainRequest) -> Outcome:
    """Train backbone, projector and prior.

    Parameters
    ----------
    request : TrainRequest

    Returns
    -------
    Outcome
        Values `steps`, `seconds`, `metrics`, `checkpoint`; for a dry run the plan instead.

    Raises
    ------
    MindeyeError
        Bad input or options, or a training that diverged; see `train.loop.train_steps`.
    """
    data = load_training_data(open_store(request.store), request.subject, request.space)
    config = high_level_config(request, data)
    tokens = data.responses.targets.reshape(-1, config.model.tokens, config.model.width)
    data = data.with_targets(tokens)

    def task() -> Task:
        training, validation, ids = _split(data, config)
        return HighLevelTask(config, HighLevelModel(config.model), training, validation, ids)

    return _run(request, "high-level", config, data, lambda: HighLevelModel(config.model), task)


def train_low_level(request: TrainRequest) -> Outcome:
    """Train the low-level network; parameters, results and errors as for `train_high_level`."""
    store = open_store(request.store)
    data = load_training_data(store, request.subject, request.space)
    config = low_level_config(request, data)
    teachers = _teachers(store, data, config)

    def task() -> Task:
        training, validation, ids = _split(data, config)
        items, _ = split_items(len(data.responses), config.data.validation, config.seed)
        maps = [teacher[torch.from_numpy(items)] for teacher in teachers]
        model = LowLevelModel(config.model)
        return LowLevelTask(config, model, training, validation, ids, *maps)

    return _run(request, "low-level", config, data, lambda: LowLevelModel(config.model), task)


def _run(
    request: TrainRequest,
    kind: Kind,
    config: Config,
    data: TrainingData,
    make_model: Callable[[], nn.Module],
    make_task: Callable[[], Task],
) -> Outcome:
    """Plan or train one network in its RUN folder."""
    folder.refuse_launcher()
    _refuse_large_batch(config, data)
    if request.dry_run:
        return Outcome(outputs=(), values=_plan(config, data, make_model))
    info = folder.start(
        request,
        kind,
        data.identity,
        seed=config.seed,
        n_voxels=data.n_voxels,
        config_toml=to_toml(config),
    )
    if info.status == "finished":
        _drop_checkpoints(request.run)
        return folder.outcome(request.run, info, found=True)
    with threads(config.loop.threads or None):
        # The initial weights: drawn from torch's global generator by every layer's constructor.
        torch.manual_seed(derived_seed(config.seed, "weights"))
        result = train_steps(
            make_task(), config.optim, config.loop, seed=config.seed, run=request.run
        )
        metrics = {**result.metrics, "seconds": result.seconds}
        info = finish_run(request.run, result.weights, steps=result.steps, metrics=metrics)
    _drop_checkpoints(request.run)
    return folder.outcome(request.run, info)


def _drop_checkpoints(run: Path) -> None:
    """A finished run is never continued, and its checkpoints hold the moments too."""
    if (run / "checkpoints").exists():
        shutil.rmtree(run / "checkpoints")


def _refuse_large_batch(config: Config, data: TrainingData) -> None:
    train, _ = split_items(len(data.responses), config.data.validation, config.seed)
    if config.optim.batch > len(train):
        raise UsageProblem(
            f"a batch of {config.optim.batch} is larger than the {len(train)} training images",
            where="optim.batch",
            fix=f"--set optim.batch={len(train)}",
        )


def _split(data: TrainingData, config: Config) -> tuple[ResponseSet, ResponseSet, list[str]]:
    """Training and validation images, and the ids of the former."""
    train, held = split_items(len(data.responses), config.data.validation, config.seed)
    ids = [data.image_ids[item] for item in train]
    return data.responses.take(train), data.responses.take(held), ids


def _teachers(store: Store, data: TrainingData, config: LowLevelTraining) -> list[Tensor]:
    """Teacher features of every training image: plain, then of augmented images if named."""
    losses = config.losses
    if losses.contrastive == 0.0:
        return []
    positions = config.model.map_size**2
    found = []
    for space in (losses.teacher, losses.augmented):
        if space is not None:
            rows = open_targets(store, space).read(data.responses.image_rows)
            features = torch.from_numpy(rows.astype("float32"))
            found.append(teacher_positions(features, positions, config.model.maps_width, space))
    return found


def _plan(
    config: Config, data: TrainingData, make_model: Callable[[], nn.Module]
) -> dict[str, object]:
    with torch.device("meta"):
        model = make_model()
    train, _ = split_items(len(data.responses), config.data.validation, config.seed)
    steps = steps_per_epoch(len(train), config.optim.batch) * config.optim.epochs
    return memory.plan(model, config.optim, config.loop, data.responses.nbytes, steps)
