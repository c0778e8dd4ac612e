"""A network with its losses and data, and what a finished training of it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from mindeye_cli.train.batch import Batch, Moment, Share
from mindeye_cli.train.state import Tensors
from mindeye_cli.train.study import StudySet

Rows = NDArray[np.int64]


class Task(Protocol):
    """A network with its losses and data, as the loop sees it."""

    @property
    def model(self) -> nn.Module:
        """The network that is trained."""

    @property
    def training(self) -> StudySet:
        """The training items."""

    @property
    def score(self) -> str:
        """Metric of `validate` that larger values improve."""

    def draw(self, items: Rows, moment: Moment, share: Share) -> Batch:
        """What this process takes in; every draw is keyed by seed, `moment` and sample."""

    def loss(
        self, model: nn.Module, batch: Batch, moment: Moment
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and its named parts, whose averages over processes are those of the whole batch.

        `model` is the task's own network as the engine wrapped it.
        """

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
