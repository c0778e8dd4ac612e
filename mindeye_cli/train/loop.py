"""The one step loop of every network: sampler, optimiser, validation, checkpoints, stop signals.

A step is a pure function of the weights, the moments, the seed and its number, so a run that was
killed anywhere and continued from any checkpoint ends in the weights of the uninterrupted run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindeye_cli.core import checkpoint
from mindeye_cli.core.progress import Bar, track
from mindeye_cli.core.sampler import derived_seed
from mindeye_cli.core.signals import StopFlag
from mindeye_cli.train.batch import Batch, Moment, share_of
from mindeye_cli.train.config import LoopConfig, OptimConfig
from mindeye_cli.train.divergence import Watch
from mindeye_cli.train.engine import Engine
from mindeye_cli.train.feed import Feed
from mindeye_cli.train.journal import Journal
from mindeye_cli.train.optim import make_optimizer, schedule, set_step
from mindeye_cli.train.pace import Pace
from mindeye_cli.train.state import TrainState
from mindeye_cli.train.study import epoch_batches, steps_per_epoch
from mindeye_cli.train.task import LoopResult, Task

Rows = NDArray[np.int64]


def train_steps(
    task: Task,
    optim: OptimConfig,
    loop: LoopConfig,
    *,
    seed: int,
    run: Path,
    engine: Engine,
    stop: StopFlag,
    ahead: bool = False,
) -> LoopResult:
    """Train to the end, from the run's latest checkpoint where there is one.

    Parameters
    ----------
    task : Task
        With the weights to start from.
    optim, loop : OptimConfig, LoopConfig
    seed : int
    run : Path
        The RUN folder, for log and checkpoints.
    engine : Engine
        Device, precision and processes.
    stop : StopFlag
        In force since before the data were read.
    ahead : bool
        Draw batches one step ahead (`train/feed.py`).

    Returns
    -------
    LoopResult

    Raises
    ------
    Requeue
        A stop signal arrived; a checkpoint was written unless no step was done.
    MindeyeError
        The loss or a weight is not finite; a checkpoint written before is kept.
    """
    worker = _Worker(task, optim, loop, seed, run, engine, ahead)
    worker.heed(stop)
    with track("train", worker.total, unit="steps") as bar:
        bar.advance(worker.state.step)
        while worker.state.step < worker.total:
            worker.epoch(stop, bar)
    return worker.result()


class _Worker:
    """State of one process at work on a run."""

    def __init__(
        self,
        task: Task,
        optim: OptimConfig,
        loop: LoopConfig,
        seed: int,
        run: Path,
        engine: Engine,
        ahead: bool,
    ) -> None:
        self.task, self.optim, self.loop, self.seed = task, optim, loop, seed
        self.engine, self.feed = engine, Feed(ahead)
        self.per_epoch = steps_per_epoch(task.training.sizes, optim.batch)
        self.total = self.per_epoch * optim.epochs
        self.rates = schedule(optim, self.total)
        self.model = engine.wrap(task.model)
        self.state = TrainState(task.model, make_optimizer(task.model, optim), optim.ema, engine)
        self.metrics: dict[str, float] = {}
        self.clock = self.started = time.monotonic()
        found = checkpoint.latest(run)
        if found is not None:
            self.state.unpack(found)
        self.journal = Journal(run, self.state.step, loop.trackers if engine.is_main else None)
        self.run = run
        # A GPU is asked for a value now and then only (`train/divergence.py`).
        self.look_every = 1 if engine.device.type == "cpu" else max(1, loop.log_every)
        self.watch, self.pace = Watch(run, engine.device), Pace()

    def heed(self, stop: StopFlag) -> None:
        """Stop before the first step where that was asked for meanwhile."""
        if self.engine.any(stop.is_set):
            self._stop(stop)

    def epoch(self, stop: StopFlag, bar: Bar) -> None:
        """Finish the epoch that the state is in; validate and save where they are due."""
        epoch, done = divmod(self.state.step, self.per_epoch)
        batches = epoch_batches(self.task.training.sizes, self.optim.batch, self.seed, epoch)
        steps = list(enumerate(batches))[done:]
        moments = [Moment(epoch * self.per_epoch + n, epoch, self.optim.epochs) for n, _ in steps]
        drawn = self.feed.each(self._draws(moments, [items for _, items in steps]))
        for moment, (_, items) in zip(moments, steps, strict=True):
            loss = self._step(items, moment, drawn)
            bar.advance(note=None if loss is None else f"loss {loss:.4g}")
            stopping = _due(self.state.step, self.look_every) and self.engine.any(stop.is_set)
            if stopping and self.state.step % self.per_epoch:
                self._save_and_stop(stop)
        last = self.state.step == self.total
        if last or _due(epoch + 1, self.loop.validate_every):
            self._validate(Moment(self.state.step, epoch, self.optim.epochs))
        # After the validation, so that a run continued here does not miss it.
        if self.engine.any(stop.is_set) and not last:
            self._save_and_stop(stop)
        if not last and _due(epoch + 1, self.loop.checkpoint_every):
            if self.engine.any(self.engine.is_main and self.pace.ready()):
                self._save()

    def result(self) -> LoopResult:
        """What the finished run keeps."""
        self._tick()
        self.journal.close()
        metrics: dict[str, Any] = dict(self.metrics)
        metrics["data_wait_share"] = self.feed.waited / max(self.clock - self.started, 1e-9)
        weights = self.state.weights()
        if self.loop.select == "best" and self.state.best:
            weights = self.state.best
            metrics["best_step"] = self.state.best_step
        return LoopResult(weights, self.state.step, self.state.seconds, metrics)

    def _draws(self, moments: list[Moment], batches: list[Rows]) -> Iterator[Callable[[], Batch]]:
        """How to draw every part of every step's batch, in order."""
        for moment, items in zip(moments, batches, strict=True):
            for number, part in enumerate(self._parts(items)):
                share = share_of(len(part), self.engine.rank, self.engine.world)
                yield partial(self.task.draw, part, replace(moment, part=number), share)

    def _parts(self, items: Rows) -> list[Rows]:
        """The parts of a batch; every one holds its share of every subject."""
        return [items[k :: self.optim.accumulate] for k in range(self.optim.accumulate)]

    def _step(self, items: Rows, moment: Moment, drawn: Iterator[Batch]) -> float | None:
        """One optimiser step; returns the loss where it was looked at."""
        # Dropout reads torch's global generators: keyed here like every other draw.
        whose = [self.engine.rank] if self.engine.rank else []
        torch.manual_seed(derived_seed(self.seed, "step", moment.step, *whose))
        set_step(self.state.optimizer, self.rates[moment.step])
        self.model.train()
        self.state.optimizer.zero_grad(set_to_none=True)
        values: dict[str, Tensor] = {}
        parts = self._parts(items)
        for number, part in enumerate(parts):
            batch, weight = next(drawn), len(part) / len(items)
            with self.engine.part(self.model, number == len(parts) - 1):
                loss, named = self.task.loss(self.model, batch, replace(moment, part=number))
                self.engine.backward(weight * loss)
            for name, value in {"loss": loss, **named}.items():
                values[name] = values.get(name, 0.0) + weight * value.detach()
        values = dict(zip(values, self.engine.mean(torch.stack([*values.values()])), strict=True))
        self.watch.note(values["loss"], moment.step)
        looked = _due(moment.step + 1, self.look_every) or moment.step + 1 == self.total
        if looked:
            self.watch.refuse(self._named)
        self.engine.step(self.state.optimizer, self.task.model, self.optim.clip)
        self.state.after_step()
        if _due(self.state.step, self.loop.log_every) or self.state.step == self.total:
            floats = {name: float(value) for name, value in values.items()}
            self._log(moment, lr=self.rates[moment.step][0], **floats)
        return float(values["loss"]) if looked else None

    def _validate(self, moment: Moment) -> None:
        self._refuse_divergence()  # The last validation is of the weights that are kept.
        if not self.engine.is_main:
            return
        self.task.model.eval()
        with torch.no_grad(), self.state.averaged():
            self.metrics = self.task.validate(moment)
        if not self.metrics:
            return
        if self.loop.select == "best":
            self.state.offer(self.metrics[self.task.score])
        self._log(moment, **{f"validation_{name}": v for name, v in self.metrics.items()})

    def _refuse_divergence(self) -> None:
        self.watch.refuse(self._named)
        self.watch.refuse_weights(self.state.finite(), self.state.step)

    def _save(self) -> None:
        self._refuse_divergence()
        self._tick()
        with self.pace.saving():
            if self.engine.is_main:
                checkpoint.save(self.run, self.state.step, *self.state.pack())
            self.engine.wait()

    def _save_and_stop(self, stop: StopFlag) -> None:
        self._save()
        self._stop(stop)

    def _stop(self, stop: StopFlag) -> None:
        """Every process comes here once they agreed, whichever got the signal."""
        self.journal.close()
        stop.raise_requeue(f"{self.run}, step {self.state.step}", agreed=True)

    def _named(self, step: int) -> list[str]:
        """Image ids of a step whose loss is not finite, which the log gets whole."""
        epoch, number = divmod(step, self.per_epoch)
        batches = epoch_batches(self.task.training.sizes, self.optim.batch, self.seed, epoch)
        ids = self.task.names(batches[number])
        moment = Moment(step, epoch, self.optim.epochs)
        self._log(moment, error="the loss is not finite", batch=ids)
        return ids

    def _log(self, moment: Moment, **values: Any) -> None:
        self.journal.write(self.state.step, moment.epoch, values)

    def _tick(self) -> None:
        now = time.monotonic()
        self.state.seconds += now - self.clock
        self.clock = now


def _due(count: int, every: int) -> bool:
    return every > 0 and count % every == 0
