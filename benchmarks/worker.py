"""One side of `train_step.py` in a process of its own, which works when it is asked to."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from floors import seconds
from ours import Ours, Precision, fresh_model, responses
from theirs import Theirs
from transcription.loader import write_shards
from transcription.sizes import Sizes

PARTS = ("step", "attention", "optimizer", "loader")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the package's side runs."""

    device: str
    precision: Precision
    compile: bool
    checkpointing: bool


def write_data(folder: Path, sizes: Sizes, images: int) -> None:
    """Random voxels and targets, as arrays and as tar shards."""
    generator = np.random.default_rng(0)
    voxels = generator.standard_normal((images, sizes.repeats, sizes.voxels), dtype=np.float32)
    targets = generator.standard_normal((images, sizes.tokens, sizes.width), dtype=np.float32)
    targets /= np.linalg.norm(targets[:, :1], axis=-1, keepdims=True)
    np.save(folder / "voxels.npy", voxels)
    np.save(folder / "targets.npy", targets)
    write_shards(folder, voxels, targets)


def build(
    side: str, sizes: Sizes, settings: Settings, folder: Path
) -> dict[str, Callable[[], object]]:
    """The work of every part of a side, by name."""
    device = torch.device(settings.device)
    x = torch.randn(sizes.batch, sizes.sequence, sizes.width, device=device, requires_grad=True)
    grad = torch.randn_like(x)
    if side == "transcription":
        theirs = Theirs(sizes, sorted(folder.glob("*.tar")))
        return {
            "step": theirs.step,
            "attention": lambda: theirs.attention(x, grad),
            "optimizer": theirs.update,
            "loader": theirs.fetch,
        }
    voxels = np.load(folder / "voxels.npy", allow_pickle=False)
    targets = torch.from_numpy(np.load(folder / "targets.npy", allow_pickle=False))
    ours = Ours(
        fresh_model(sizes, device),
        responses(voxels, targets, device),
        batch=sizes.batch,
        precision=settings.precision,
        checkpointing=settings.checkpointing,
    )
    if settings.compile:
        ours.compile()
    return {
        "step": ours.step,
        "attention": lambda: ours.attention(x, grad),
        "optimizer": ours.update,
        "loader": lambda: ours.fetch(ours.step_number),
    }


def serve(
    connection: Connection, side: str, sizes: Sizes, settings: Settings, folder: Path
) -> None:
    """Answer every named part with its seconds, and `peak` with gigabytes, until told to stop."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    device = torch.device(settings.device)
    parts = build(side, sizes, settings, folder)
    connection.send(0.0)
    while (asked := connection.recv()) != "stop":
        connection.send(_peak(device) if asked == "peak" else seconds(parts[asked], device))


class Worker:
    """Handle of such a process."""

    def __init__(self, side: str, sizes: Sizes, settings: Settings, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.side = side
        self.connection, there = context.Pipe()
        self.process = context.Process(
            target=serve, args=(there, side, sizes, settings, folder), daemon=True
        )
        self.process.start()
        there.close()
        self._receive()

    def ask(self, part: str) -> float:
        """Have the process do one part."""
        self.connection.send(part)
        return self._receive()

    def close(self) -> None:
        """End the process."""
        if self.process.is_alive():
            self.connection.send("stop")
        self.process.join()

    def _receive(self) -> float:
        try:
            return float(self.connection.recv())
        except EOFError as problem:
            self.process.join()
            raise SystemExit(
                f"the process of {self.side} ended with code {self.process.exitcode}"
            ) from problem


def _peak(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
