"""`mindeye train high-level` and `low-level`: from a request to a finished RUN."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

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
from mindeye_cli.train.facts import DataSizes, describe, measure
from mindeye_cli.train.loop import train_steps
from mindeye_cli.train.recipes import Config, HighLevelRecipe, LowLevelRecipe, Recipe
from mindeye_cli.train.request import TrainRequest
from mindeye_cli.train.study import steps_per_epoch
from mindeye_cli.train.trackers import refuse_absent
from mindeye_store import UsageProblem, open_store

# Share of the recomputed activations that exist at once: one layer of the prior's six.
RECOMPUTED = 6


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
    store = open_store(request.store)
    facts = describe(store, request.subjects, request.space)
    # A raw space's scale follows from its targets, and which targets from the configuration.
    config = recipe.resolve(request, facts, rms=1.0)
    extras = recipe.extras(config, store)
    sizes = measure(store, request.subjects, request.space, config.data, config.seed, extras)
    _refuse_batch(config, sizes)
    engine = Engine(config.optim.precision)
    needs = _plan(recipe, config, sizes, engine)
    if request.dry_run:
        return Outcome(outputs=(), values=needs)
    finished = folder.finished(request)
    if not finished:
        memory.refuse_too_large(needs["bytes"], engine.device, _held(config, sizes, engine))
        refuse_absent(config.loop.trackers)
    source = initial.check_source(config.init.run, recipe.kind, store)
    with StopFlag() as stop, threads(config.loop.threads or None):
        with engine.main_first():
            data = load_training_data(store, request.subjects, request.space, config.data, extras)
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


def _refuse_batch(config: Config, sizes: DataSizes) -> None:
    if not min(sizes.items):
        raise UsageProblem(
            "all training images of a subject are held out for validation",
            where="data.validation",
            fix="--set data.validation=0 or another seed",
        )
    if config.optim.batch > sum(sizes.items):
        raise UsageProblem(
            f"a batch of {config.optim.batch} is larger than the {sum(sizes.items)} training"
            " images",
            where="optim.batch",
            fix=f"--set optim.batch={sum(sizes.items)}",
        )
    if config.optim.batch < len(sizes.items):
        raise UsageProblem(
            f"a batch of {config.optim.batch} cannot hold {len(sizes.items)} subjects",
            where="optim.batch",
            fix=f"--set optim.batch={32 * len(sizes.items)}",
        )


def _plan(recipe: Recipe, config: Config, sizes: DataSizes, engine: Engine) -> dict[str, Any]:
    """Parameters, steps and bytes of one process; refuses parts that leave a process idle."""
    optim = config.optim
    steps = steps_per_epoch(sizes.items, optim.batch)
    smallest = sum(sizes.items) // steps // optim.accumulate
    if smallest < engine.world:
        raise UsageProblem(
            f"batches of {optim.batch} in {optim.accumulate} parts leave some of the"
            f" {engine.world} processes without a sample",
            where="optim.batch",
            fix="a larger optim.batch or a smaller optim.accumulate",
        )
    share = -(-optim.batch // (optim.accumulate * engine.world))
    with torch.device("meta"):
        model = recipe.model(config)
    model.train()
    activations = memory.activation_bytes(model, lambda: recipe.example(config, model, share))
    if optim.checkpointing:
        save_memory(model, True)
        kept = memory.activation_bytes(model, lambda: recipe.example(config, model, share))
        # Pieces are computed again one at a time; the largest is a layer's, or the projector.
        activations = kept + (activations - kept) // RECOMPUTED
    needs = memory.plan(
        model,
        optim,
        config.loop,
        activations=activations,
        data_bytes=sizes.nbytes,
        steps=steps * optim.epochs,
    )
    needs["device"] = engine.device.type
    needs["free_bytes"] = memory.free_memory(engine.device)
    held = _held(config, sizes, engine)
    needs["fits"] = memory.fits(needs["bytes"], engine.device, data=held)
    return needs


def _held(config: Config, sizes: DataSizes, engine: Engine) -> int:
    """Bytes of data that must lie on the computing device, whatever else has no room there."""
    if config.data.keep == "device":
        return sizes.nbytes
    if engine.device.type == "cpu":
        return sizes.nbytes if config.data.keep == "memory" else sizes.voxel_bytes
    return 0
