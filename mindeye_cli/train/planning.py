"""What a run would need, counted before anything is read; batches that cannot be are refused."""

from __future__ import annotations

from typing import Any

import torch

from mindeye_cli.models.running import save_memory
from mindeye_cli.train import memory
from mindeye_cli.train.engine import Engine
from mindeye_cli.train.facts import DataSizes
from mindeye_cli.train.recipes import Config, Recipe
from mindeye_cli.train.study import steps_per_epoch
from mindeye_store import UsageProblem

# Share of the recomputed activations that exist at once: one layer of the prior's six.
RECOMPUTED = 6


def refuse_batch(config: Config, sizes: DataSizes) -> None:
    """Refuse a batch that the training items do not fill or that some subjects get no part of.

    Raises
    ------
    UsageProblem
    """
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


def make_plan(recipe: Recipe, config: Config, sizes: DataSizes, engine: Engine) -> dict[str, Any]:
    """Parameters, steps and bytes of one process, as a dry run prints them; see `memory.plan`.

    Raises
    ------
    UsageProblem
        The parts of a batch leave a process without a sample.
    """
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
    held = bytes_held(config, sizes, engine)
    needs["fits"] = memory.fits(needs["bytes"], engine.device, data=held)
    return needs


def bytes_held(config: Config, sizes: DataSizes, engine: Engine) -> int:
    """Bytes of data that must lie on the computing device, whatever else has no room there."""
    if config.data.keep == "device":
        return sizes.nbytes
    if engine.device.type == "cpu":
        return sizes.nbytes if config.data.keep == "memory" else sizes.voxel_bytes
    return 0
