"""The training loop shared by the built-in models: a pure function of (seed, step), resumable."""

from __future__ import annotations

import io
import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mindeye_cli.core.atomic import write_bytes
from mindeye_cli.core.sampler import epoch_order
from mindeye_cli.core.signals import StopFlag

logger = logging.getLogger("mindeye.builtin")

_FILE = "checkpoint.pt"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopConfig:
    """How long to train and how; `steps` sets the learning-rate schedule."""

    steps: int
    batch: int
    lr: float
    seed: int
    decay_from: float = 0.5  # share of the steps after which the learning rate falls to zero
    warmup: int = 100
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    ema: float = 0.0  # 0 keeps no averaged weights
    save_seconds: float = 120.0
    log_every: int = 25


def learning_rate(config: LoopConfig, step: int) -> float:
    """Linear warm-up, a constant part, then a half cosine down to 1 % of the peak."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    start = config.decay_from * config.steps
    share = min(1.0, max(0.0, (step - start) / max(1.0, config.steps - start)))
    return config.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def batch_rows(count: int, batch: int, seed: int, step: int) -> NDArray[np.int64]:
    """Rows of one step; every row once an epoch, the last incomplete batch left out."""
    per_epoch = count // batch
    epoch, place = divmod(step, per_epoch)
    return epoch_order(count, seed, epoch)[place * batch : (place + 1) * batch]


class Loop:
    """Runs `loss(step) -> (loss, numbers to log)` for `config.steps` steps, from a checkpoint."""

    def __init__(self, model: nn.Module, config: LoopConfig, folder: Path) -> None:
        self.model, self.config, self.folder = model, config, folder
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=config.lr,
            betas=(0.9, 0.98),
            weight_decay=config.weight_decay,
        )
        self.averaged = [p.detach().clone() for p in self.parameters] if config.ema else []
        self.step = 0
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / _FILE).exists():
            self._resume()

    def _resume(self) -> None:
        state = torch.load(self.folder / _FILE, weights_only=True)
        self.model.load_state_dict(state["model"], strict=True)
        self.optimizer.load_state_dict(state["optimizer"])
        self.averaged = list(state["averaged"])
        self.step = int(state["step"])
        logger.info("resumed at step %d", self.step)

    def save(self) -> None:
        """Write the checkpoint beside the old one, then rename it into place."""
        state: dict[str, Any] = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "averaged": self.averaged,
            "step": self.step,
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_bytes(self.folder / _FILE, buffer.getvalue())

    def use_average(self) -> None:
        """Put the averaged weights into the model, for export."""
        for parameter, value in zip(self.parameters, self.averaged, strict=True):
            parameter.data.copy_(value)

    def _average(self) -> None:
        """Exponential moving average whose memory grows with the steps made so far."""
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self.averaged, [p.detach() for p in self.parameters], 1 - decay)

    def run(self, loss_of: Callable[[int], tuple[Tensor, dict[str, float]]]) -> None:
        """Train up to `config.steps`; saved on time, at the end and on SIGTERM.

        Raises
        ------
        Requeue
            After saving, when a stop signal came.
        """
        if self.step >= self.config.steps:
            return
        with StopFlag() as stop:
            self._run(loss_of, stop)

    def _run(
        self, loss_of: Callable[[int], tuple[Tensor, dict[str, float]]], stop: StopFlag
    ) -> None:
        saved = started = time.monotonic()
        first = self.step
        sums: dict[str, float] = {}
        while self.step < self.config.steps:
            rate = learning_rate(self.config, self.step)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            loss, numbers = loss_of(self.step)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.parameters, self.config.clip_norm)
            self.optimizer.step()
            self.step += 1
            if self.averaged:
                self._average()
            for name, value in {"loss": loss.item(), **numbers}.items():
                sums[name] = sums.get(name, 0.0) + value
            if self.step % self.config.log_every == 0:
                seconds = (time.monotonic() - started) / (self.step - first)
                self._log(sums, rate, seconds)
                sums = {}
            if stop.is_set or time.monotonic() - saved > self.config.save_seconds:
                self.save()
                saved = time.monotonic()
                stop.raise_requeue(f"{self.folder} at step {self.step}")
        self.save()

    def _log(self, sums: dict[str, float], rate: float, seconds: float) -> None:
        """One line of means since the last one; after a resumption the first mean is partial."""
        line: dict[str, float] = {"step": self.step, "lr": rate, "seconds_a_step": seconds}
        line |= {name: value / self.config.log_every for name, value in sums.items()}
        text = json.dumps({name: float(f"{value:.5g}") for name, value in line.items()})
        with (self.folder / "log.jsonl").open("a") as stream:
            stream.write(text + "\n")
        logger.info(text)
