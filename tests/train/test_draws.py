"""Orders and repetition weights: pure functions, each image once, weights that sum to one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mindeye_cli.train.batch import share_of
from mindeye_cli.train.config import OptimConfig
from mindeye_cli.train.draws import CONVEX_SHARE, MEAN_SHARE, repeat_weights
from mindeye_cli.train.facts import split_images, split_items
from mindeye_cli.train.optim import schedule
from mindeye_cli.train.study import epoch_batches

COUNTS = np.array([3, 1, 2, 3, 2])


def weights(policy, *, epoch=0, step=0, seed=0):
    return repeat_weights(policy, np.arange(5), COUNTS, 3, seed=seed, epoch=epoch, keys=(step,))


@pytest.mark.parametrize(("n", "batch"), [(100, 32), (7, 7), (65, 64), (5, 2)])
def test_an_epoch_shows_every_item_once(n, batch):
    batches = epoch_batches([n], batch, 3, 1)
    assert sorted(np.concatenate(batches)) == list(range(n))
    sizes = [len(items) for items in batches]
    assert max(sizes) <= batch
    assert max(sizes) - min(sizes) <= 1
    again = np.concatenate(epoch_batches([n], batch, 3, 1))
    np.testing.assert_array_equal(again, np.concatenate(batches))
    assert not np.array_equal(again, np.concatenate(epoch_batches([n], batch, 3, 2)))


def test_every_batch_holds_its_share_of_every_subject():
    sizes = (30, 50, 7)
    batches = epoch_batches(sizes, 16, 3, 1)
    assert sorted(np.concatenate(batches)) == list(range(87))
    owners = [np.searchsorted([30, 80], items, side="right") for items in batches]
    for whose in owners:
        assert (np.diff(whose) >= 0).all()
        assert len(whose) <= 16
    counts = np.array([[np.sum(whose == s) for s in range(3)] for whose in owners])
    assert (np.ptp(counts, axis=0) <= 1).all()


def test_shares_of_processes_are_the_batch_in_order():
    for size, world in ((32, 2), (31, 4), (5, 5)):
        rows = [np.arange(size)[share_of(size, rank, world).rows] for rank in range(world)]
        np.testing.assert_array_equal(np.concatenate(rows), np.arange(size))
        weights = [share_of(size, rank, world).weight for rank in range(world)]
        assert np.mean(weights) == pytest.approx(1.0)
        # The mean over processes of weighted means is the mean over rows.
        values = np.random.default_rng(size).standard_normal(size)
        means = [w * values[r].mean() for w, r in zip(weights, rows, strict=True)]
        assert np.mean(means) == pytest.approx(values.mean())


@pytest.mark.parametrize("policy", ["one", "mean", "random-convex"])
def test_weights_sum_to_one_and_spare_absent_repeats(policy):
    for step in range(40):
        w = weights(policy, step=step, epoch=step)
        np.testing.assert_allclose(w.sum(axis=1), 1.0, rtol=1e-6)
        assert (w[np.arange(3)[None] >= COUNTS[:, None]] == 0).all()
        np.testing.assert_array_equal(w, weights(policy, step=step, epoch=step))


def test_one_takes_every_repeat_in_turn():
    seen = np.stack([weights("one", epoch=epoch) for epoch in range(6)])
    assert set(np.unique(seen)) == {0.0, 1.0}
    np.testing.assert_array_equal(
        seen.sum(axis=0), np.where(np.arange(3)[None] < COUNTS[:, None], 6 / COUNTS[:, None], 0.0)
    )


def test_random_convex_keeps_the_published_mixture():
    kinds = []
    for step in range(2000):
        row = weights("random-convex", step=step)[0]
        kinds.append("one" if row.max() == 1 else "mean" if np.ptp(row) < 1e-6 else "convex")
    assert kinds.count("convex") / 2000 == pytest.approx(CONVEX_SHARE, abs=0.04)
    assert kinds.count("mean") / 2000 == pytest.approx(MEAN_SHARE, abs=0.04)


def test_validation_holds_out_whole_images():
    train, held = split_items(40, 0.2, 0)
    assert sorted([*train, *held]) == list(range(40))
    assert len(held) == 8
    assert len(split_items(40, 0.0, 0)[1]) == 0
    assert not np.array_equal(held, split_items(40, 0.2, 1)[1])


def test_validation_images_train_no_subject():
    one, other = np.arange(100, 140), np.arange(120, 150)
    splits = split_images([one, other], 0.2, 3)
    for rows, (train, held) in zip((one, other), splits, strict=True):
        assert sorted([*train, *held]) == list(range(len(rows)))
    trained, held = (
        {row for rows, s in zip((one, other), splits, strict=True) for row in rows[s[part]]}
        for part in (0, 1)
    )
    assert not trained & held
    assert len(held) == 10  # of the 50 images that somebody saw
    # A single subject's draw is that of its own images.
    for found, alone in zip(split_images([one], 0.2, 3)[0], split_items(40, 0.2, 3), strict=True):
        np.testing.assert_array_equal(found, alone)


@pytest.mark.parametrize(("steps", "warmup"), [(10, 0.1), (5, 0.2), (25, 0.04)])
def test_a_rise_of_one_step_starts_at_the_peak(steps, warmup):
    """Against the half cosine from lr to lr / 25,000, written out."""
    table = schedule(OptimConfig(lr=2.0, warmup=warmup), steps)
    low = 2.0 / 25 / 1000
    wanted = low + (2.0 - low) * (1 + np.cos(np.pi * np.arange(steps) / (steps - 1))) / 2
    np.testing.assert_allclose(table[:, 0], wanted, rtol=1e-6)


def test_schedule_is_torch_one_cycle():
    config = OptimConfig(lr=3e-4, warmup=0.1)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=3e-4, total_steps=50, pct_start=0.1, final_div_factor=1000
    )
    table = schedule(config, 50)
    assert table[0, 0] == pytest.approx(1.2e-5)
    assert table[-1, 0] == pytest.approx(1.2e-8)
    assert table[:, 0].max() == pytest.approx(3e-4, rel=1e-3)
    for step in range(50):
        group = optimizer.param_groups[0]
        assert (group["lr"], group["betas"][0]) == tuple(table[step])
        optimizer.step()
        if step < 49:
            cycle.step()
    assert len(schedule(config, 1)) == 1
