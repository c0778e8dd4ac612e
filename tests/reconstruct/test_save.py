"""The summaries of many pictures hold few of them in memory."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from mindeye_cli.core.tensor_file import write_rows
from mindeye_cli.reconstruct.save import write_png, write_tensors


def test_pictures_are_written_one_by_one(tmp_path: Path) -> None:
    """The bytes are the library's, which holds all of them."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 128, 130, 3), dtype=np.uint8)
    files = [tmp_path / f"{k:02d}.png" for k in range(40)]
    for file, picture in zip(files, pixels, strict=True):
        write_png(file, picture)
    write_tensors(tmp_path / "warm", files[:1])
    tracemalloc.start()
    write_tensors(tmp_path / "images", files)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < pixels.nbytes / 4
    wanted = save({"images": np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))})
    assert (tmp_path / "images").read_bytes() == wanted


def test_rows_that_do_not_fit_are_refused() -> None:
    rows = [torch.zeros(3), torch.zeros(4)]
    for given, n, words in ((rows, 2, "another shape"), (rows[:1], 2, "1 rows")):
        with pytest.raises(ValueError, match=words):
            write_rows(io.BytesIO(), "x", given, n)
