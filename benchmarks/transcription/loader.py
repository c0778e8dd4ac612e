"""Batches from tar shards, one sample decoded after the other, with a shuffle buffer.

Each array of a sample is one `.npy` member, as in the published dataset. The files are read and
decoded in the training process itself, without a background worker.

Shapes: `B` batch, `R` repeats, `V` voxels, `T` tokens, `D` width.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

VOXELS, TARGET = "nsdgeneral.npy", "clip.npy"
BUFFER = 500

Arrays = NDArray[np.float32]


def write_shards(folder: Path, voxels: Arrays, targets: Arrays, shard: int = 500) -> list[Path]:
    """Write voxels (n, R, V) and targets (n, T, D) as tar files of at most `shard` samples."""
    paths = []
    for first in range(0, len(voxels), shard):
        paths.append(folder / f"train_{first // shard}.tar")
        with tarfile.open(paths[-1], "w") as archive:
            for row in range(first, min(first + shard, len(voxels))):
                for name, values in ((VOXELS, voxels[row]), (TARGET, targets[row])):
                    content = io.BytesIO()
                    np.save(content, values)
                    member = tarfile.TarInfo(f"sample{row:09d}.{name}")
                    member.size = content.tell()
                    content.seek(0)
                    archive.addfile(member, content)
    return paths


def samples(shards: list[Path], seed: int) -> Iterator[dict[str, Arrays]]:
    """Samples without end: shards drawn with replacement, each read from its start."""
    generator = np.random.default_rng(seed)
    while True:
        with tarfile.open(shards[generator.integers(len(shards))]) as archive:
            sample: dict[str, Arrays] = {}
            for member in archive:
                content = archive.extractfile(member)
                assert content is not None, "members are plain files"
                name = member.name.split(".", 1)[1]
                sample[name] = np.load(io.BytesIO(content.read()), allow_pickle=False)
                if len(sample) == 2:
                    yield sample
                    sample = {}


def batches(shards: list[Path], batch: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Voxels (B, R, V) and targets (B, T, D), drawn from a buffer of samples."""
    generator = np.random.default_rng(seed)
    source = samples(shards, seed)
    buffer = [next(source) for _ in range(BUFFER)]
    while True:
        chosen = []
        for _ in range(batch):
            place = int(generator.integers(len(buffer)))
            chosen.append(buffer[place])
            buffer[place] = next(source)
        yield (
            torch.stack([torch.from_numpy(sample[VOXELS]) for sample in chosen]),
            torch.stack([torch.from_numpy(sample[TARGET]) for sample in chosen]),
        )
