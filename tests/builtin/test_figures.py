"""Figures of merit against independent computations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mindeye_cli.builtin.clip import participation_ratio
from mindeye_cli.builtin.pool import load_pool
from mindeye_cli.builtin.quality import probe_auc, two_way
from mindeye_cli.core.scenes import CATEGORIES, builtin_seed, render, sample_scene


def test_participation_ratio_counts_directions() -> None:
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(20_000, 6)) * np.array([1, 1, 1, 1, 0, 0])
    assert participation_ratio(torch.from_numpy(rows)) == pytest.approx(4, rel=0.01)
    mixed = rows @ generator.normal(size=(6, 6))
    values = np.linalg.eigvalsh(np.cov(mixed.T))
    expected = values.sum() ** 2 / (values**2).sum()
    assert participation_ratio(torch.from_numpy(mixed)) == pytest.approx(expected)


def test_two_way_against_a_plain_count() -> None:
    generator = np.random.default_rng(1)
    true = generator.normal(size=(12, 30))
    made = true + 2.5 * generator.normal(size=true.shape)
    wins = [
        np.corrcoef(made[i], true[i])[0, 1] > np.corrcoef(made[i], true[j])[0, 1]
        for i in range(12)
        for j in range(12)
        if i != j
    ]
    assert two_way(torch.from_numpy(made), torch.from_numpy(true)) == pytest.approx(np.mean(wins))
    assert two_way(torch.from_numpy(true), torch.from_numpy(true)) == 1.0


def test_probe_finds_a_linear_label_and_nothing_in_noise() -> None:
    generator = np.random.default_rng(2)
    x = generator.normal(size=(3000, 8)).astype(np.float32)
    y = np.stack([x[:, 0] > 0.5, generator.random(3000) > 0.5], 1).astype(np.float32)
    assert probe_auc(x[:2000], y[:2000, :1], x[2000:], y[2000:, :1]) > 0.98
    assert probe_auc(x[:2000], y[:2000, 1:], x[2000:], y[2000:, 1:]) == pytest.approx(0.5, abs=0.06)


def test_pool_rows_are_the_scenes_of_their_seeds(tmp_path: Path) -> None:
    pool = load_pool(tmp_path, "judge", 12)
    assert len(pool) == 12 and pool.pixels.dtype == np.uint8
    for row in range(12):
        scene = sample_scene(builtin_seed("judge", row))
        assert pool.scene(row) == scene
        assert np.array_equal(pool.pixels[row], render(scene))
        main = scene.objects[0]
        assert CATEGORIES[pool.main[row, 0]] == main.category
        assert pool.place[row] == pytest.approx([main.x, main.y, main.size])
        present = {CATEGORIES[i] for i in np.flatnonzero(pool.present[row])}
        assert present == {item.category for item in scene.objects}
        shown = {CATEGORIES[i - 1] for i in np.flatnonzero(pool.occupancy[row].sum((0, 1))) if i}
        assert shown == present
    assert (pool.occupancy.sum(-1) == 64).all()
    assert np.array_equal(load_pool(tmp_path, "judge", 12).pixels, pool.pixels)
