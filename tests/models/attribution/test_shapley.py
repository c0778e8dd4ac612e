"""Shapley values of groups of voxels against all orders, and their laws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
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


def test_a_null_player_gets_nothing() -> None:
    inner, response = game(5)
    unread = (GROUPS != 2).float()
    draws = shapley(lambda x: inner(x * unread), response, GROUPS, orders=20)
    assert bool((draws[:, 2] == 0).all()) and bool((draws[:, 0] != 0).any())


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
