"""How many pictures are drawn together, against counts by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from decoders.tiny import save_tiny_generator

from mindeye_cli.reconstruct import memory
from mindeye_cli.reconstruct.memory import items_a_batch, peak_bytes, picture_bytes


def test_the_peak_counts_what_is_alive_together() -> None:
    def work() -> torch.Tensor:
        first = torch.empty(100, device="meta")
        second = first + 1
        del first
        third = second.view(10, 10).sum(dim=0)
        del second
        return third + torch.empty(50, device="meta").sum()

    assert peak_bytes(work) == 4 * 200


def test_a_larger_picture_takes_in_proportion(tmp_path: Path) -> None:
    found = []
    for side in (8, 16):
        folder = tmp_path / str(side)
        save_tiny_generator(folder, width=16, latent_side=side)
        files = {str(path.relative_to(folder)): path for path in folder.rglob("*.*")}
        found.append(picture_bytes(files))
        maps = 8 * (4 * side) ** 2 * 4  # 8 channels at the picture's size, float32
        assert 2 * maps <= found[-1] <= 8 * maps
    assert 3 < found[1] / found[0] <= 4.5


def test_free_memory_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tiny_generator(tmp_path, width=16)
    files = {str(path.relative_to(tmp_path)): path for path in tmp_path.rglob("*.*")}
    weights = sum(p.stat().st_size for p in files.values() if p.suffix == ".safetensors")
    each = picture_bytes(files)
    for free, pictures in ((1e12, memory.MOST), (0, 1), ((weights + 5.5 * each) / 0.6, 5)):
        monkeypatch.setattr(memory, "_free", lambda device, free=free: int(free))
        assert memory.pictures_a_batch(files) == pictures
    assert memory.pictures_a_batch({}) == memory.MOST


@pytest.mark.parametrize(
    ("items", "candidates", "pictures", "parts", "expected"),
    [
        (100, 16, 64, 1, 4),
        (100, 1, 64, 1, 64),
        (100, 16, 5, 1, 1),
        (5, 2, 64, 2, 3),
        (3, 1, 64, 8, 1),
    ],
)
def test_items_a_batch(
    items: int, candidates: int, pictures: int, parts: int, expected: int
) -> None:
    assert items_a_batch(items, candidates, pictures, parts) == expected


def test_free_memory_is_the_control_groups_and_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(memory, "free_memory", lambda: 3 * 2**20)
    assert memory._free(cpu) == 3 * 2**20
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert memory._free(cpu) == 2**20
    monkeypatch.setattr(memory, "free_memory", lambda: 0)  # It cannot be known.
    assert memory._free(cpu) > 2**20
