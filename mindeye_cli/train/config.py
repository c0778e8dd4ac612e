"""Settings shared by everything that is trained step by step; defaults are the published ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mindeye_cli.core.clusters import parse_held_out
from mindeye_cli.train.selection import Selection

Repeats = Literal["one", "mean", "random-convex"]
Keep = Literal["auto", "device", "memory", "store"]
Precision = Literal["fp32", "bf16", "fp16"]


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
    sessions : int
        Only the first so many sessions of every subject; 0 takes all of them.
    views : int
        Cached augmented views of every image (`prepare targets --views`). Each epoch takes the
        plain targets or one of the views by chance. 0, the default, uses the plain targets alone.
    hold_out : str
        Leave a cluster of images out of training: "3/8" is cluster 3 of 8 (`core/clusters.py`).
    hold_out_space : str
        SPACE of the clusters; empty is the run's own.
    shuffle_rows : bool
        Train every response on another image's target: a control, and recorded as one.
    keep : {"auto", "device", "memory", "store"}
        Where responses and targets stay: on the computing device, in main memory, or targets in
        the store, read batch by batch. `auto` takes the first of them with room to spare.
    """

    repeats: Repeats = "one"
    noise: float = 0.0
    validation: float = 0.05
    sessions: int = 0
    views: int = 0
    hold_out: str = ""
    hold_out_space: str = ""
    shuffle_rows: bool = False
    keep: Keep = "auto"

    def __post_init__(self) -> None:
        if not 0.0 <= self.validation < 1.0:
            raise ValueError("validation must lie in [0, 1)")
        if self.noise < 0.0:
            raise ValueError("noise must not be negative")
        if self.sessions < 0 or self.views < 0:
            raise ValueError("sessions and views must not be negative")
        if self.hold_out:
            parse_held_out(self.hold_out, "")

    def selection(self, seed: int, space: str) -> Selection:
        """Which images train beside which targets, for a run of a seed and a SPACE."""
        return Selection(
            sessions=self.sessions,
            hold_out=self.hold_out,
            hold_out_space=self.hold_out_space or space,
            shuffle_rows=self.shuffle_rows,
            seed=seed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimConfig:
    """AdamW under a one-cycle schedule.

    Attributes
    ----------
    epochs, batch : int
        An epoch shows every training image once, in batches of nearly equal size, at most `batch`.
        A batch is that of all processes together, so a configuration trains alike on any number
        of devices.
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
    precision : {"fp32", "bf16", "fp16"}
        Of the networks' arithmetic; weights, moments and losses are float32 always. The paper
        trained in fp16, whose narrow range needs a loss scaler.
    accumulate : int
        Parts into which a batch is split to save memory. Contrastive losses then see one part.
    checkpointing : bool
        Compute the prior's and the projector's activations again on the way back, to save memory.
    compile : bool
        Compile the networks with torch.compile: a minute at the start, for long runs on a GPU.
    """

    epochs: int = 240
    batch: int = 32
    lr: float = 3e-4
    weight_decay: float = 0.01
    warmup: float = 2 / 240
    clip: float = 0.0
    ema: float = 0.0
    precision: Precision = "fp32"
    accumulate: int = 1
    checkpointing: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1:
            raise ValueError("epochs and batch must be at least 1")
        if not 1 <= self.accumulate <= self.batch:
            raise ValueError("accumulate must lie between 1 and batch")
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
        In epochs; both also happen at the end. 0 switches the ones in between off. Checkpoints
        that take seconds are written less often, so that they take a twentieth of the time.
    log_every : int
        In steps.
    select : {"last", "best"}
        Which weights are kept: the last, or those of the best validation score.
    threads : int
        Torch threads; 0 leaves torch's own number.
    trackers : tuple of {"tensorboard", "wandb"}
        Where the numbers of the log go too: `RUN/tensorboard`, or Weights & Biases, offline unless
        `WANDB_MODE` says otherwise. Numbers only: no pictures, no paths, no data.
    """

    validate_every: int = 10
    checkpoint_every: int = 1
    log_every: int = 10
    select: Literal["last", "best"] = "last"
    threads: int = 0
    trackers: tuple[Literal["tensorboard", "wandb"], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InitConfig:
    """Where the weights start.

    Attributes
    ----------
    run : str
        A RUN of the same kind and sizes, finished or with a checkpoint: everything but the input
        layers is taken from it, and those of subjects that it knows too. Empty draws all weights
        at random.
    """

    run: str = ""
