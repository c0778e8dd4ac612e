"""Settings shared by everything that is trained step by step; defaults are the published ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Repeats = Literal["one", "mean", "random-convex"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Which responses a step sees.

    Attributes
    ----------
    repeats : {"one", "mean", "random-convex"}
        `one`: another trial of the image each epoch, in turn. `mean`: the mean over its trials.
        `random-convex`: the published low-level mixture, one draw for a batch (`train/draws.py`).
    noise : float
        Standard deviation of Gaussian noise added to every voxel, in units of the stored voxels.
    validation : float
        Share of the training images held out for validation and model selection, whole images
        with all of their repeats. Test images are never read.
    """

    repeats: Repeats = "one"
    noise: float = 0.0
    validation: float = 0.05

    def __post_init__(self) -> None:
        if not 0.0 <= self.validation < 1.0:
            raise ValueError("validation must lie in [0, 1)")
        if self.noise < 0.0:
            raise ValueError("noise must not be negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimConfig:
    """AdamW under a one-cycle schedule.

    Attributes
    ----------
    epochs, batch : int
        An epoch shows every training image once, in batches of nearly equal size, at most `batch`.
    lr : float
        Peak learning rate; it starts at lr/25 and ends at lr/25,000, as published.
    weight_decay : float
        Of every parameter but biases.
    warmup : float
        Share of the steps before the peak.
    clip : float
        Largest norm of the gradient; 0 does not clip.
    ema : float
        Decay of the averaged weights that are validated and kept; 0 keeps the plain weights.
    """

    epochs: int = 240
    batch: int = 32
    lr: float = 3e-4
    weight_decay: float = 0.01
    warmup: float = 2 / 240
    clip: float = 0.0
    ema: float = 0.0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1:
            raise ValueError("epochs and batch must be at least 1")
        if not 0.0 < self.warmup < 1.0:
            raise ValueError("warmup must lie in (0, 1)")
        if not 0.0 <= self.ema < 1.0:
            raise ValueError("ema must lie in [0, 1)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopConfig:
    """How the loop watches and saves itself; none of these changes a step's arithmetic.

    Attributes
    ----------
    validate_every, checkpoint_every : int
        In epochs; both also happen at the end. 0 switches the ones in between off.
    log_every : int
        In steps.
    select : {"last", "best"}
        Which weights are kept: the last, or those of the best validation score.
    threads : int
        Torch threads; 0 leaves torch's own number.
    """

    validate_every: int = 10
    checkpoint_every: int = 1
    log_every: int = 10
    select: Literal["last", "best"] = "last"
    threads: int = 0
