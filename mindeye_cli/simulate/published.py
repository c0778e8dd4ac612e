"""What the packed layouts of MindEye (2023) and MindEye2 share: z-scored trials, small tar files.

Both keep the trials z-scored within each session by all of its trials, test trials included, with
a standard deviation of 0 taken as 1 (scikit-learn's StandardScaler).

Shapes: `T` trials, `V` voxels.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mindeye_cli.simulate.design import Design
from mindeye_cli.simulate.settings import SimulateConfig
from mindeye_cli.simulate.subject import INTEGER_SCALE, Subject, session_betas


def scored_trials(
    subject: Subject, config: SimulateConfig, design: Design, advance: Callable[[], object]
) -> npt.NDArray[np.float32]:
    """Every trial, z-scored within its session, float32 (T, V)."""
    parts = []
    for betas in session_betas(subject, config, design):
        values = betas / np.float64(INTEGER_SCALE)
        spread = values.std(0)
        parts.append((values - values.mean(0)) / np.where(spread > 0, spread, 1))
        advance()
    return np.concatenate(parts).astype(np.float32)


def npy_bytes(values: npt.NDArray[Any]) -> bytes:
    """An array as the bytes of a `.npy` file."""
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=False)
    return stream.getvalue()


def write_tar(path: Path, samples: Iterable[tuple[str, dict[str, bytes]]]) -> None:
    """Write samples (key, member by suffix) as WebDataset does: `KEY.SUFFIX`, one after another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as opened:
        for key, members in samples:
            for suffix, data in members.items():
                info = tarfile.TarInfo(f"{key}.{suffix}")
                info.size = len(data)
                opened.addfile(info, io.BytesIO(data))
