"""Expected gradients against captum and closed forms, completeness, and its gate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mindeye_cli.models.attribution import gradients
from mindeye_cli.models.attribution.gradients import expected_gradients
from mindeye_store.errors import InvalidInput

V = 12


def network(seed: int, hidden: int = 16) -> Callable[[Tensor], Tensor]:
    """A smooth network with the layers of the decoders, to one number a row."""
    torch.manual_seed(seed)
    layers = nn.Sequential(
        nn.Linear(V, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, 1)
    ).eval()
    return lambda rows: layers(rows)[:, 0]


def rows(seed: int, count: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((count, V))).float()


def test_the_mean_over_baselines_is_captum_s_gradient_shap() -> None:
    """GradientSHAP draws baselines and points at random: equal up to its sampling error."""
    attr = pytest.importorskip("captum.attr")
    score = network(3)
    response, baselines = rows(4, 1)[0], rows(5, 4)
    mean = expected_gradients(score, response, baselines).values.mean(dim=0)
    sampled = attr.GradientShap(score).attribute(
        response[None], baselines, n_samples=8000, stdevs=0.0
    )[0]
    assert float((mean - sampled).abs().max()) < 0.1 * float(mean.abs().max())


def test_a_voxel_that_is_not_read_has_no_share() -> None:
    inner = network(7)
    found = expected_gradients(
        lambda x: inner(torch.cat([x[:, :4], torch.zeros(len(x), V - 4)], dim=1)),
        rows(8, 1)[0],
        rows(9, 2),
    )
    assert bool((found.values[:, 4:] == 0).all()) and bool((found.values[:, :4] != 0).any())


def test_steps_double_until_the_shares_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step function smoothed over a tenth of the path: few points miss it."""

    def steep(x: Tensor) -> Tensor:
        return torch.sigmoid(150 * (x.sum(dim=1) / V - 0.37))

    real, taken = gradients._slope, []

    def counted(score: object, last: Tensor, first: Tensor, steps: int) -> Tensor:
        taken.append(steps)
        return real(score, last, first, steps)  # type: ignore[arg-type]

    monkeypatch.setattr(gradients, "_slope", counted)
    found = expected_gradients(steep, torch.ones(V), torch.zeros(1, V), steps=6, most=800)
    assert taken == [6 * 2**k for k in range(len(taken))] and len(taken) > 1
    assert found.steps == taken[-1] and found.missing <= 0.01
    assert found.values.sum() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("value", [1.5, float("nan")])
def test_shares_that_never_add_up_are_refused(
    monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    real, taken = gradients._slope, []

    def wrong(score: object, last: Tensor, first: Tensor, steps: int) -> Tensor:
        taken.append(steps)
        return value * real(score, last, first, steps)  # type: ignore[arg-type]

    monkeypatch.setattr(gradients, "_slope", wrong)
    with pytest.raises(InvalidInput, match="after 800 steps") as caught:
        expected_gradients(network(1), rows(1, 1)[0], rows(2, 1))
    assert taken == [200, 400, 800]
    assert "responds,needed" in str(caught.value.fix)


def test_a_step_is_never_complete() -> None:
    """The gradient of a jump is 0 everywhere: its shares miss all of it."""

    def jump(x: Tensor) -> Tensor:
        return (x.sum(dim=1) > 0.5).float() + 0 * x.sum(dim=1)

    with pytest.raises(InvalidInput, match=r"miss the score's change by 100"):
        expected_gradients(jump, torch.ones(V), torch.zeros(1, V), steps=4, most=16)


def test_equal_scores_have_no_shares() -> None:
    found = expected_gradients(network(2), rows(3, 1)[0], rows(3, 1))
    assert found.difference == 0 and bool((found.values == 0).all())
