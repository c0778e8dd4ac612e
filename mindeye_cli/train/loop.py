"""The one step loop of every network: sampler, optimiser, validation, checkpoints, stop signals.

A step is a pure function of the weights, the moments, the seed and its number, so a run that was
killed anywhere and continued from any checkpoint ends in the weights of the uninterrupted run.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mindeye_cli.core import checkpoint
from mindeye_cli.core.progress import Bar, track
from mindeye_cli.core.runs import append_log, trim_log
from mindeye_cli.core.sampler import derived_seed
from mindeye_cli.core.signals import StopFlag
from mindeye_cli.train.config import LoopConfig, OptimConfig
from mindeye_cli.train.draws import epoch_batches, steps_per_epoch
from mindeye_cli.train.optim import make_optimizer, schedule, set_step
from mindeye_cli.train.state import Tensors, TrainState
from mindeye_store.errors import MindeyeError

Rows = NDArray[np.int64]
# Ids named in the message of a failed batch; all of them go to the log.
NAMED_IDS = 8


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a step is: its number, its epoch, and the run's number of epochs."""

    step: int
    epoch: int
    epochs: int


class Task(Protocol):
    """A network with its losses and data, as the loop sees it."""

    @property
    def model(self) -> nn.Module:
        """The network that is trained."""

    @property
    def score(self) -> str:
        """Metric of `validate` that larger values improve."""

    def __len__(self) -> int:
        """Number of training items."""

    def loss(self, items: Rows, moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of one batch and its named parts; every draw is keyed by seed and `moment`."""

    def validate(self, moment: Moment) -> dict[str, float]:
        """Metrics on validation items of the weights now in `model`; {} without such items."""

    def names(self, items: Rows) -> list[str]:
        """Ids of training items, for messages."""


@dataclass(frozen=True, slots=True)
class LoopResult:
    """Weights kept, steps done, seconds of all processes that worked on the run, and metrics."""

    weights: Tensors
    steps: int
    seconds: float
    metrics: dict[str, Any]


def train_steps(
    task: Task, optim: OptimConfig, loop: LoopConfig, *, seed: int, run: Path
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

    Returns
    -------
    LoopResult

    Raises
    ------
    Requeue
        A stop signal arrived; a checkpoint was written.
    MindeyeError
        The loss or a weight is not finite; the last good checkpoint is kept.
    """
    worker = _Worker(task, optim, loop, seed, run)
    with StopFlag() as stop, track("train", worker.total, unit="steps") as bar:
        bar.advance(worker.state.step)
        while worker.state.step < worker.total:
            worker.epoch(stop, bar)
    return worker.result()


class _Worker:
    """State of one process at work on a run."""

    def __init__(
        self, task: Task, optim: OptimConfig, loop: LoopConfig, seed: int, run: Path
    ) -> None:
        self.task, self.optim, self.loop, self.seed, self.run = task, optim, loop, seed, run
        self.per_epoch = steps_per_epoch(len(task), optim.batch)
        self.total = self.per_epoch * optim.epochs
        self.rates = schedule(optim, self.total)
        self.state = TrainState(task.model, make_optimizer(task.model, optim), optim.ema)
        self.metrics: dict[str, float] = {}
        self.clock = time.monotonic()
        found = checkpoint.latest(run)
        if found is not None:
            self.state.unpack(found)
        trim_log(run, self.state.step)

    def epoch(self, stop: StopFlag, bar: Bar) -> None:
        """Finish the epoch that the state is in; validate and save where they are due."""
        epoch, done = divmod(self.state.step, self.per_epoch)
        batches = epoch_batches(len(self.task), self.optim.batch, self.seed, epoch)
        for items in batches[done:]:
            moment = Moment(self.state.step, epoch, self.optim.epochs)
            bar.advance(note=f"loss {self._step(items, moment):.4g}")
            if stop.is_set and self.state.step % self.per_epoch:
                self._save_and_stop(stop)
        last = self.state.step == self.total
        if last or _due(epoch + 1, self.loop.validate_every):
            self._validate(Moment(self.state.step, epoch, self.optim.epochs))
        # After the validation, so that a run continued here does not miss it.
        if stop.is_set and not last:
            self._save_and_stop(stop)
        if not last and _due(epoch + 1, self.loop.checkpoint_every):
            self._save()

    def result(self) -> LoopResult:
        """What the finished run keeps."""
        self._tick()
        metrics: dict[str, Any] = dict(self.metrics)
        weights = self.state.weights()
        if self.loop.select == "best" and self.state.best:
            weights = self.state.best
            metrics["best_step"] = self.state.best_step
        return LoopResult(weights, self.state.step, self.state.seconds, metrics)

    def _step(self, items: Rows, moment: Moment) -> float:
        """One optimiser step; returns the loss."""
        # Dropout reads torch's global generators: keyed here like every other draw.
        torch.manual_seed(derived_seed(self.seed, "step", moment.step))
        set_step(self.state.optimizer, self.rates[moment.step])
        self.task.model.train()
        loss, parts = self.task.loss(items, moment)
        value = float(loss.detach())
        if not math.isfinite(value):
            self._diverged("the loss is not finite", items, moment)
        self.state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.optim.clip > 0.0:
            nn.utils.clip_grad_norm_(self.task.model.parameters(), self.optim.clip)
        self.state.optimizer.step()
        self.state.after_step()
        if _due(self.state.step, self.loop.log_every) or self.state.step == self.total:
            self._log(moment, loss=value, lr=self.rates[moment.step][0], **_floats(parts))
        return value

    def _validate(self, moment: Moment) -> None:
        live = None
        if self.state.average:
            live = {name: value.clone() for name, value in self.task.model.state_dict().items()}
            self.task.model.load_state_dict(self.state.average)
        self.task.model.eval()
        with torch.no_grad():
            self.metrics = self.task.validate(moment)
        if live is not None:
            self.task.model.load_state_dict(live)
        if not self.metrics:
            return
        if self.loop.select == "best":
            self.state.offer(self.metrics[self.task.score])
        self._log(moment, **{f"validation_{name}": v for name, v in self.metrics.items()})

    def _save(self) -> None:
        if not self.state.finite():
            raise MindeyeError(
                "a weight is not finite",
                where=f"{self.run}, step {self.state.step}",
                fix="lower optim.lr; the last good checkpoint is kept",
            )
        self._tick()
        tensors, scalars = self.state.pack()
        checkpoint.save(self.run, self.state.step, tensors, scalars)

    def _save_and_stop(self, stop: StopFlag) -> None:
        self._save()
        stop.raise_requeue(f"{self.run}, step {self.state.step}")

    def _diverged(self, message: str, items: Rows, moment: Moment) -> None:
        ids = self.task.names(items)
        self._log(moment, error=message, batch=ids)
        more = f" and {len(ids) - NAMED_IDS} more" if len(ids) > NAMED_IDS else ""
        raise MindeyeError(
            message,
            where=f"step {moment.step}, images {', '.join(ids[:NAMED_IDS])}{more}",
            fix="lower optim.lr or set optim.clip=1; the last good checkpoint is kept",
        )

    def _log(self, moment: Moment, **values: Any) -> None:
        append_log(self.run, step=self.state.step, epoch=moment.epoch, **values)

    def _tick(self) -> None:
        now = time.monotonic()
        self.state.seconds += now - self.clock
        self.clock = now


def _due(count: int, every: int) -> bool:
    return every > 0 and count % every == 0


def _floats(parts: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value.detach()) for name, value in parts.items()}
