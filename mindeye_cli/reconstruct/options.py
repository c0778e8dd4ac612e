"""What one reconstruction is asked to do."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mindeye_cli.core.config import load_config
from mindeye_cli.core.launch import rank, world_size
from mindeye_cli.core.trials import Split
from mindeye_cli.reconstruct.outside_options import Outside
from mindeye_cli.reconstruct.outside_options import outside_of as outside_of
from mindeye_cli.reconstruct.unused import refuse_unused
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem

AVERAGES = ("voxels", "predictions", "none")
RANDOM_VOXELS = "random-voxels"
CONTROLS = ("none", "mean-brain", "ceiling", RANDOM_VOXELS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorSampling:
    """How the prior is sampled.

    Attributes
    ----------
    steps : int
        A divisor of the prior's schedule, sampled by DDIM; 0 is the whole schedule by the ancestral
        sampler, as published.
    samples : int
        Draws that are averaged into each embedding.
    """

    steps: int = 0
    samples: int = 1

    def __post_init__(self) -> None:
        if self.steps < 0 or self.samples < 1:
            raise UsageProblem("prior.steps is at least 0 and prior.samples at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What is traded for memory; it changes no picture.

    Attributes
    ----------
    offload : bool
        Keep only the part of the generator that computes on the accelerator.
    slicing : bool
        Attention and autoencoder one row at a time.
    """

    offload: bool = False
    slicing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What `--set` changes: settings that few need."""

    prior: PriorSampling = PriorSampling()
    memory: Memory = Memory()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of `mindeye reconstruct`, as on its command line.

    Attributes
    ----------
    high, low : Path or None
        RUN folders of the semantic (high-level or ridge) and of the low-level model.
    decoder : str
        A generator's name, `low-level` (the latent's own picture), `latent-rgb` (the same without
        a VAE) or `nearest` (the training image whose embedding is nearest to the predicted one).
    strength, steps, guidance : float, int, float or None
        None takes the decoder's own default.
    average : str
        `voxels`: repeats are averaged before the networks (as published); `predictions`: after
        them; `none`: one picture a trial.
    control : str
        `mean-brain` decodes the mean training pattern in place of every test pattern: what the
        generator makes without information about the image. `ceiling` decodes the true embedding
        of every image: what it makes with all information. `random-voxels` reads, in place of the
        areas kept, random voxels like them (drawn by `seed`).
    keep_rois, drop_rois : str or None
        Areas that the networks read, or do not: the other voxels are 0, their training mean.
    shard : (int, int)
        Do every n-th batch from the i-th on; whichever process finishes last writes the manifest.
        The processes of a launcher share such a part among them.
    outside : Outside or None
        An indexed collection, of which `nearest` takes the nearest picture.
    replay : Path or None
        Manifest whose pictures are drawn again and compared.
    """

    store: Path
    out: Path
    high: Path | None = None
    low: Path | None = None
    decoder: str = "scene"
    weights: Path | None = None
    strength: float | None = None
    candidates: int = 16
    steps: int | None = None
    guidance: float | None = None
    average: str = "voxels"
    split: Split = "test"
    subject: str | None = None
    ids: tuple[str, ...] | None = None
    limit: int | None = None
    seed: int = 0
    control: str = "none"
    keep_rois: str | None = None
    drop_rois: str | None = None
    keep_candidates: bool = False
    overwrite: bool = False
    shard: tuple[int, int] = (0, 1)
    details: Details = Details()
    outside: Outside | None = None
    replay: Path | None = None

    def __post_init__(self) -> None:
        if self.average not in AVERAGES:
            raise _choice("--average", self.average, AVERAGES)
        if self.control not in CONTROLS:
            raise _choice("--control", self.control, CONTROLS)
        if self.split not in ("test", "train"):
            raise _choice("--split", self.split, ("test", "train"))
        if self.strength is not None and not 0.0 <= self.strength <= 1.0:
            raise UsageProblem(
                f"strength {self.strength} is outside [0, 1]", where="--strength", fix="e.g. 0.85"
            )
        if self.guidance is not None and not math.isfinite(self.guidance):
            raise UsageProblem(f"{self.guidance} is no scale", where="--guidance", fix="e.g. 3.5")
        counts = (
            ("--candidates", self.candidates),
            ("--steps", self.steps),
            ("--limit", self.limit),
        )
        for name, number in counts:
            if number is not None and number < 1:
                raise UsageProblem(f"{number} is less than 1", where=name, fix="give at least 1")
        if self.overwrite and self.shard != (0, 1):
            raise UsageProblem(
                "--overwrite would delete what the other shards have done",
                where="--shard",
                fix="remove the folder once, then start every shard without --overwrite",
            )
        self._refuse_own_record()
        self._refuse_file()
        alone = self.decoder in ("low-level", "latent-rgb")
        if alone and self.low is None:
            where = f"--decoder {self.decoder}"
            raise UsageProblem("the low-level picture needs --low RUN", where=where)
        if not alone and self.high is None:
            raise UsageProblem(f"decoder {self.decoder} needs --high RUN", where="--high")
        refuse_unused(self)

    def _refuse_own_record(self) -> None:
        """The recorded pictures must stay: what is drawn is compared with them."""
        if self.replay is not None and self.replay.resolve().is_relative_to(self.out.resolve()):
            raise UsageProblem(
                f"the manifest lies in {self.out}, where the replay is to be written",
                where="--replay",
                fix="name another folder to write",
            )

    def _refuse_file(self) -> None:
        there = next((path for path in (self.out, *self.out.parents) if path.exists()), None)
        if there is not None and not there.is_dir():
            raise UsageProblem(
                "there is a file where a folder is to be written",
                where=str(there),
                fix="name another folder",
            )

    @property
    def part(self) -> tuple[int, int]:
        """This process's share of the batches: its shard's, or its part of it under a launcher."""
        index, count = self.shard
        return index * world_size() + rank(), count * world_size()


def details_of(changes: Sequence[str]) -> Details:
    """The details that `--set` changes, one `KEY=VALUE` each; errors as of `load_config`."""
    return load_config(Details, preset=None, overrides=changes)


def _choice(option: str, value: str, choices: tuple[str, ...]) -> UsageProblem:
    return UsageProblem(
        f"unknown value {value!r}", where=option, fix=f"one of {', '.join(choices)}"
    )


def read_ids(path: Path) -> tuple[str, ...]:
    """Read image ids, one a line; `-` is standard input, blank lines are passed over.

    Raises
    ------
    MissingResource
        There is no such file.
    InvalidInput
        It holds no id.
    """
    if str(path) == "-":
        text = sys.stdin.read()
    elif path.is_file():
        text = path.read_text(encoding="utf-8", errors="replace")
    else:
        raise MissingResource("there is no such list of ids", where=str(path))
    ids = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not ids:
        raise InvalidInput("the list holds no id", where=str(path), fix="one image id a line")
    return ids
