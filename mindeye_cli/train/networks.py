"""`mindeye train high-level` and `low-level`: from a request to a finished RUN."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from torch import nn

from mindeye_cli.core.config import to_toml
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.runs import finish_run, read_run
from mindeye_cli.core.sampler import derived_seed
from mindeye_cli.core.signals import StopFlag
from mindeye_cli.core.threads import threads
from mindeye_cli.models.running import compile_parts, save_memory
from mindeye_cli.train import folder, initial, memory
from mindeye_cli.train.data import TrainingData, load_training_data
from mindeye_cli.train.engine import Engine
from mindeye_cli.train.facts import describe, measure
from mindeye_cli.train.loop import train_steps
from mindeye_cli.train.planning import bytes_held, make_plan, refuse_batch
from mindeye_cli.train.recipes import Config, HighLevelRecipe, LowLevelRecipe, Recipe
from mindeye_cli.train.request import TrainRequest
from mindeye_cli.train.trackers import refuse_absent
from mindeye_store import open_store


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
        Bad input or options, a run that cannot fit in memory, or a training that diverged; see
        `train.loop.train_steps`.
    """
    return _train(request, HighLevelRecipe())


def train_low_level(request: TrainRequest) -> Outcome:
    """Train the low-level network; parameters, results and errors as for `train_high_level`."""
    return _train(request, LowLevelRecipe())


def _train(request: TrainRequest, recipe: Recipe) -> Outcome:
    """Plan or train one network; what can be refused is refused before its RUN folder is made."""
    store = open_store(request.store, reader=request.reader)
    facts = describe(store, request.subjects, request.space)
    # A raw space's scale follows from its targets, and which targets from the configuration.
    config = recipe.resolve(request, facts, rms=1.0)
    extras = recipe.extras(config, store)
    sizes = measure(store, request.subjects, request.space, config.data, config.seed, extras)
    refuse_batch(config, sizes)
    engine = Engine(config.optim.precision)
    needs = make_plan(recipe, config, sizes, engine)
    if request.dry_run:
        return Outcome(outputs=(), values=needs)
    finished = folder.finished(request)
    if not finished:
        memory.refuse_too_large(needs["bytes"], engine.device, bytes_held(config, sizes, engine))
        refuse_absent(config.loop.trackers)
    source = initial.check_source(config.init.run, recipe.kind, store)
    with StopFlag() as stop, threads(config.loop.threads or None):
        with engine.main_first():
            data = load_training_data(
                store, request.subjects, request.space, config.data, extras, config.seed
            )
        config = recipe.resolve(request, facts, data.target_rms())
        model = None if finished else _model(request, recipe, config, source, data)
        with engine.main_first():
            info = folder.start(
                request,
                recipe.kind,
                data.identity,
                seed=config.seed,
                n_voxels=facts.n_voxels,
                config_toml=to_toml(config),
                origin=initial.origin(source, recipe.files(config)),
                overwrite=request.overwrite and engine.is_main,
            )
        if model is not None and info.status != "finished":
            _run(request, recipe, config, model, data, engine, needs["bytes"], stop)
    engine.wait()
    _drop_checkpoints(request.run, engine)
    return folder.outcome(request.run, read_run(request.run), found=info.status == "finished")


def _model(
    request: TrainRequest,
    recipe: Recipe,
    config: Config,
    source: initial.Source | None,
    data: TrainingData,
) -> nn.Module:
    """The network with the weights it starts from."""
    # Every layer's constructor draws from torch's global generator.
    torch.manual_seed(derived_seed(config.seed, "weights"))
    model = recipe.model(config)
    recipe.start(config, model)
    if source is not None:
        initial.take_over(model, source, request.subjects, data.identity.masks)
    save_memory(model, config.optim.checkpointing)
    if config.optim.compile:
        compile_parts(model)
    return model


def _run(
    request: TrainRequest,
    recipe: Recipe,
    config: Config,
    model: nn.Module,
    data: TrainingData,
    engine: Engine,
    needs: dict[str, int],
    stop: StopFlag,
) -> None:
    """Train, and write the finished run on the main process."""
    kept = config.data.keep
    resident = kept == "device" or (
        kept == "auto" and memory.fits(needs, engine.device, data=needs["data"])
    )
    if resident:
        data = data.to(engine.device)
    result = train_steps(
        recipe.task(config, model, data, engine.device),
        config.optim,
        config.loop,
        seed=config.seed,
        run=request.run,
        engine=engine,
        stop=stop,
        ahead=not (data.in_memory and (resident or engine.device.type == "cpu")),
    )
    if engine.is_main:
        metrics = {**result.metrics, "seconds": result.seconds}
        finish_run(request.run, result.weights, steps=result.steps, metrics=metrics)


def _drop_checkpoints(run: Path, engine: Engine) -> None:
    """A finished run is never continued, and its checkpoints hold the moments too."""
    if engine.is_main and (run / "checkpoints").exists():
        shutil.rmtree(run / "checkpoints")
