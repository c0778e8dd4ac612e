"""Attribution against captum, full enumeration and plain loops, and the laws they obey."""

from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients, ShapleyValueSampling
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mindeye_cli.models.attribution.gradients import expected_gradients
from mindeye_cli.models.attribution.occlusion import losses
from mindeye_cli.models.attribution.shapley import shapley
from mindeye_store import InvalidInput

VOXELS = 12


class Decoder(nn.Module):
    """A layer-normed network whose output's cosine with a target is the score."""

    def __init__(self, seed: int = 0, width: int = 16) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Sequential(
            nn.Linear(VOXELS, width), nn.LayerNorm(width), nn.GELU(), nn.Linear(width, 6)
        ).eval()
        self.target = torch.randn(6)

    def forward(self, rows: Tensor) -> Tensor:
        return torch.cosine_similarity(self.body(rows), self.target[None], dim=1)


def draws(seed: int, *shape: int) -> Tensor:
    values = np.random.default_rng(seed).standard_normal(shape)
    return torch.from_numpy(values.astype(np.float32))


def test_expected_gradients_are_captums_integrated_gradients_from_each_baseline() -> None:
    network, row, baselines = Decoder(), draws(1, VOXELS), draws(2, 3, VOXELS)
    found = expected_gradients(network, row, baselines)
    theirs = IntegratedGradients(network).attribute(
        row[None].expand(3, -1), baselines, n_steps=200, method="gausslegendre"
    )
    torch.testing.assert_close(found.values, theirs.float(), atol=1e-5, rtol=1e-4)
    assert found.steps == 200


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_shares_add_up_to_the_difference(seed: int) -> None:
    network, row, baselines = Decoder(seed), draws(seed, VOXELS), draws(seed + 1, 4, VOXELS)
    found = expected_gradients(network, row, baselines)
    with torch.no_grad():
        expected = network(row[None])[0] - network(baselines)
    torch.testing.assert_close(found.values.sum(dim=1), expected, atol=5e-3, rtol=0)
    assert found.difference == pytest.approx(float(expected.mean()), abs=1e-6)
    assert found.missing <= 0.01


def test_a_linear_score_needs_no_path() -> None:
    weight = draws(3, VOXELS)
    row, baselines = draws(4, VOXELS), draws(5, 2, VOXELS)
    found = expected_gradients(lambda rows: rows @ weight, row, baselines)
    torch.testing.assert_close(found.values, weight * (row - baselines), atol=1e-5, rtol=1e-5)


def test_a_path_behind_an_affine_map_gives_the_same_shares_and_values() -> None:
    network, row, baselines = Decoder(11), draws(12, VOXELS), draws(13, 3, VOXELS)
    first, rest = network.body[0], network.body[1:]
    score = lambda rows: torch.cosine_similarity(rest(rows), network.target[None], dim=1)  # noqa: E731
    whole = expected_gradients(network, row, baselines)
    split = expected_gradients(score, row, baselines, through=first)
    torch.testing.assert_close(split.values, whole.values, atol=1e-5, rtol=1e-4)
    groups = torch.arange(VOXELS) % 5
    one = shapley(network, row, groups, orders=8, seed=3)
    two = shapley(score, row, groups, through=first, orders=8, seed=3)
    torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-4)


def sharp(rows: Tensor) -> Tensor:
    """A step that few points of the path see."""
    return torch.sigmoid(2000 * (rows.sum(dim=1) - 0.123))


def test_steps_are_doubled_until_the_shares_add_up_and_else_it_ends() -> None:
    row, baselines = torch.ones(2), torch.zeros(1, 2)
    easy = expected_gradients(lambda rows: rows.square().sum(dim=1), row, baselines, steps=2)
    assert easy.steps == 2
    steep = lambda rows: torch.sigmoid(60 * (rows.sum(dim=1) - 0.7))  # noqa: E731
    assert expected_gradients(steep, row, baselines, steps=10).steps in (20, 40, 80)
    with pytest.raises(InvalidInput, match=r"after 8 steps.*--ask responds,needed"):
        expected_gradients(sharp, row, baselines, steps=4, most=8)


def enumerated(score: nn.Module, row: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Shapley values by their definition: the mean over all subsets, weighted."""
    n = int(groups.max()) + 1

    def value(present: tuple[int, ...]) -> float:
        kept = torch.from_numpy(np.where(np.isin(groups, present), row, 0).astype(np.float32))
        with torch.no_grad():
            return float(score(kept[None])[0])

    out = np.zeros(n)
    for g in range(n):
        rest = [k for k in range(n) if k != g]
        for size in range(n):
            weight = factorial(size) * factorial(n - size - 1) / factorial(n)
            for subset in combinations(rest, size):
                out[g] += weight * (value((*subset, g)) - value(subset))
    return out


def test_shapley_values_are_those_of_full_enumeration() -> None:
    network, row = Decoder(7), draws(8, VOXELS)
    groups = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 4])
    found = shapley(network, row, groups, orders=2000).mean(dim=0).numpy()
    exact = enumerated(network, row.numpy(), groups.numpy())
    np.testing.assert_allclose(found, exact, atol=0.01)
    torch.manual_seed(0)
    theirs = ShapleyValueSampling(network).attribute(
        row[None], torch.zeros(1, VOXELS), feature_mask=groups[None], n_samples=600
    )
    by_group = [float(theirs[0, groups == g][0]) for g in range(5)]
    np.testing.assert_allclose(found, by_group, atol=0.03)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_shapley_adds_up_in_every_pair_of_orders(seed: int) -> None:
    network, row = Decoder(seed), draws(seed, VOXELS)
    groups = torch.from_numpy(np.random.default_rng(seed).permutation(np.arange(VOXELS) % 4))
    rows = shapley(network, row, groups, orders=6, seed=seed)
    with torch.no_grad():
        whole = float(network(row[None]) - network(torch.zeros(1, VOXELS)))
    np.testing.assert_allclose(rows.sum(dim=1).numpy(), whole, atol=1e-5)


def test_twins_share_alike_and_what_does_nothing_gets_nothing() -> None:
    score = lambda rows: torch.tanh(rows[:, 0] + rows[:, 1])  # noqa: E731
    values = shapley(score, torch.ones(3), torch.tensor([0, 1, 2]), orders=20).mean(dim=0).tolist()
    assert values[0] == pytest.approx(values[1], abs=1e-7) and values[2] == 0


def test_losses_are_those_of_a_plain_loop() -> None:
    network, rows = Decoder(9), draws(10, 5, VOXELS)
    masks = [np.random.default_rng(k).random(VOXELS) < 0.4 for k in range(3)]
    found = losses(network, rows, masks).numpy()
    for m, mask in enumerate(masks):
        for k, row in enumerate(rows):
            without = row.clone()
            without[torch.from_numpy(mask)] = 0
            with torch.no_grad():
                expected = float(network(row[None]) - network(without[None]))
            assert found[m, k] == pytest.approx(expected, abs=1e-6)
