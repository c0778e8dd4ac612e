"""Everything a step changes, packed into named tensors and scalars and back, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mindeye_cli.core.checkpoint import Checkpoint
from mindeye_cli.train.engine import Engine
from mindeye_store.errors import InvalidInput

Tensors = dict[str, Tensor]


class TrainState:
    """Weights, moments, averaged weights, and the best weights so far.

    Parameters
    ----------
    model : Module
    optimizer : Optimizer
    ema : float
        Decay of the averaged weights; 0 keeps none.
    engine : Engine
        Holds the loss scaler of fp16.
    """

    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, ema: float, engine: Engine
    ) -> None:
        self.model, self.engine = model, engine
        self.optimizer = optimizer
        self.decay = ema
        self.step = 0
        self.seconds = 0.0
        self.best: Tensors = {}
        self.best_score: float | None = None
        self.best_step = 0
        self.average: Tensors = _copy(model) if ema > 0.0 else {}

    def after_step(self) -> None:
        """Count the step and move the averaged weights towards the new ones."""
        self.step += 1
        if self.average:
            new = self.model.state_dict()
            names = [name for name, value in new.items() if value.is_floating_point()]
            torch._foreach_lerp_(
                [self.average[name] for name in names],
                [new[name] for name in names],
                1.0 - self.decay,
            )

    def weights(self) -> Tensors:
        """The weights to validate and keep: averaged where an average is held."""
        return self.average or _copy(self.model)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the averaged weights into the model for a while, where an average is held."""
        if not self.average:
            yield
            return
        live = _copy(self.model)
        self.model.load_state_dict(self.average)
        try:
            yield
        finally:
            self.model.load_state_dict(live)

    def offer(self, score: float) -> None:
        """Remember the present weights if their validation score is the best so far."""
        if self.best_score is None or score > self.best_score:
            self.best = {name: value.clone() for name, value in self.weights().items()}
            self.best_score, self.best_step = score, self.step

    def finite(self) -> bool:
        """Whether every weight is a finite number."""
        return all(bool(torch.isfinite(p).all()) for p in self.model.parameters())

    def pack(self) -> tuple[Tensors, dict[str, Any]]:
        """Tensors and scalars of a checkpoint."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer.{name}.{key}"] = value
        tensors |= {f"average.{name}": value for name, value in self.average.items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        scalars = {
            "seconds": self.seconds,
            "best_score": self.best_score,
            "best_step": self.best_step,
            "scaler": self.engine.scaler_state(),
        }
        return tensors, scalars

    def unpack(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint.

        Raises
        ------
        InvalidInput
            Its tensors are not those of this model.
        """
        parts: dict[str, Tensors] = {"model": {}, "optimizer": {}, "average": {}, "best": {}}
        for name, value in checkpoint.tensors.items():
            head, _, rest = name.partition(".")
            parts[head][rest] = value
        try:
            self.model.load_state_dict(parts["model"])
        except RuntimeError as problem:
            raise InvalidInput(
                "the checkpoint holds a model of other sizes",
                where=str(checkpoint.path),
                fix="give another RUN, or --overwrite to start again",
            ) from problem
        for name, parameter in self.model.named_parameters():
            # A parameter that no loss has reached has no moments yet.
            if f"{name}.step" in parts["optimizer"]:
                self.optimizer.state[parameter] = {
                    key: parts["optimizer"][f"{name}.{key}"].to(parameter.device)
                    for key in ("step", "exp_avg", "exp_avg_sq")
                }
        device = next(self.model.parameters()).device
        self.average = {name: value.to(device) for name, value in parts["average"].items()}
        self.best = parts["best"]
        self.engine.restore_scaler(checkpoint.state["scaler"])
        self.step = checkpoint.step
        self.seconds = checkpoint.state["seconds"]
        self.best_score = checkpoint.state["best_score"]
        self.best_step = checkpoint.state["best_step"]


def _copy(model: nn.Module) -> Tensors:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
