"""Shapley values of groups of voxels against all orders, and their laws."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from math import factorial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mindeye_cli.models.attribution.shapley import shapley

V, G = 15, 5
GROUPS = torch.arange(V) % G


def game(seed: int) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """A score with interactions between all groups, and a response."""
    draw = np.random.default_rng(seed)
    weight = torch.from_numpy(draw.standard_normal((V, 6))).float() / 3
    last = torch.from_numpy(draw.standard_normal(6)).float()
    response = torch.from_numpy(draw.standard_normal(V)).float()
    return lambda x: torch.tanh(x @ weight) @ last, response


def enumerated(score: Callable[[Tensor], Tensor], response: Tensor) -> np.ndarray:
    """The definition: a weighted sum over all subsets of the other groups; float64 (G,)."""
    groups, values = GROUPS.numpy(), np.zeros(G)

    def worth(present: tuple[int, ...]) -> float:
        kept = np.isin(groups, present).astype(np.float32)
        return float(score((response * torch.from_numpy(kept))[None])[0])

    for group in range(G):
        others = [g for g in range(G) if g != group]
        for size in range(G):
            share = factorial(size) * factorial(G - size - 1) / factorial(G)
            for subset in combinations(others, size):
                values[group] += share * (worth((*subset, group)) - worth(subset))
    return values


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_estimate_is_the_enumeration(seed: int) -> None:
    score, response = game(seed)
    exact = enumerated(score, response)
    draws = shapley(score, response, GROUPS, orders=2000, seed=seed)
    assert draws.shape == (1000, G) and draws.dtype == torch.float64
    error = draws.std(dim=0) / len(draws) ** 0.5
    z = (draws.mean(dim=0) - torch.from_numpy(exact)) / error.clamp_min(1e-6)
    assert float(z.abs().max()) < 5
    np.testing.assert_allclose(draws.mean(dim=0), exact, atol=0.02)


def test_two_groups_are_exact_at_once() -> None:
    """A pair of orders is all orders of two groups."""
    score, response = game(4)
    groups = (torch.arange(V) > 6).long()
    first = shapley(score, response, groups, orders=2).numpy()[0]
    kept = (groups == 0).float()
    with torch.no_grad():
        none, one, two, both = score(
            torch.stack([0 * kept, kept, 1 - kept, kept + 1 - kept]) * response
        )
    np.testing.assert_allclose(
        first, [(one - none + both - two) / 2, (two - none + both - one) / 2], atol=1e-6
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), orders=st.sampled_from([2, 6, 50]))
def test_efficiency_every_pair_of_orders_adds_up(seed: int, orders: int) -> None:
    score, response = game(seed)
    draws = shapley(score, response, GROUPS, orders=orders, seed=seed)
    with torch.no_grad():
        whole = score(response[None])[0] - score(torch.zeros(1, V))[0]
    assert draws.shape == (orders // 2, G)
    np.testing.assert_allclose(draws.sum(dim=1), float(whole), atol=1e-5)


def test_a_null_player_gets_nothing() -> None:
    inner, response = game(5)
    unread = (GROUPS != 2).float()
    draws = shapley(lambda x: inner(x * unread), response, GROUPS, orders=20)
    assert bool((draws[:, 2] == 0).all()) and bool((draws[:, 0] != 0).any())


def test_twins_get_the_same() -> None:
    """Groups that enter the score alike, with interactions, share alike."""

    def score(x: Tensor) -> Tensor:
        sums = torch.stack([x[:, GROUPS == g].sum(dim=1) for g in range(G)], dim=1)
        return torch.tanh(sums[:, 0] + sums[:, 1]) * (1 + sums[:, 3])

    response = torch.ones(V) * 0.3
    mean = shapley(score, response, GROUPS, orders=4000).mean(dim=0)
    assert float(mean[0]) == pytest.approx(float(mean[1]), abs=0.01)
    assert float(mean[2]) == float(mean[4]) == 0


def test_additive_scores_need_one_pair() -> None:
    weight = torch.linspace(-1, 1, V)
    _, response = game(6)
    draws = shapley(lambda x: x @ weight, response, GROUPS, orders=2)
    own = [float((weight * response)[GROUPS == g].sum()) for g in range(G)]
    np.testing.assert_allclose(draws[0], own, atol=1e-5)


def test_the_seed_decides_the_orders() -> None:
    score, response = game(7)
    one, two, other = (shapley(score, response, GROUPS, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, other)
