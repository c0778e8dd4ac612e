"""Expected gradients against captum and closed forms, completeness, and its gate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
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


def test_integrated_gradients_equal_captum() -> None:
    attr = pytest.importorskip("captum.attr")
    score = network(0)
    response, baselines = rows(1, 1)[0], rows(2, 3)
    found = expected_gradients(score, response, baselines, steps=200)
    reference = attr.IntegratedGradients(score)
    for base, values in zip(baselines, found.values, strict=True):
        expected = reference.attribute(
            response[None], base[None], n_steps=200, method="gausslegendre"
        )[0]
        torch.testing.assert_close(values, expected, rtol=1e-4, atol=1e-5)


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


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 4))
def test_a_linear_score_is_shared_by_its_weights(seed: int, count: int) -> None:
    """Closed form: weight times difference, for each baseline."""
    draw = np.random.default_rng(seed)
    weight = torch.from_numpy(draw.standard_normal(V)).float()
    response, baselines = rows(seed + 1, 1)[0], rows(seed + 2, count)
    found = expected_gradients(lambda x: x @ weight + 3, response, baselines, steps=5)
    torch.testing.assert_close(found.values, weight * (response - baselines), rtol=1e-4, atol=1e-4)
    assert found.steps == 5


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 4), hidden=st.sampled_from([4, 16]))
def test_shares_add_up_to_the_difference(seed: int, count: int, hidden: int) -> None:
    """The sum over voxels is the score less the baselines' mean score."""
    score = network(seed, hidden)
    response, baselines = rows(seed + 1, 1)[0], rows(seed + 2, count)
    found = expected_gradients(score, response, baselines)
    with torch.no_grad():
        start = score(baselines)
        each = score(response[None])[0] - start
    scale = max(float(each.abs().max()), float(start.std()) if count > 1 else 0)
    assert found.difference == pytest.approx(float(each.mean()), abs=1e-5)
    left = (found.values.sum(dim=1) - each).abs().max()
    assert float(left) <= 0.011 * scale + 1e-5
    assert found.missing <= 0.01 and found.values.shape == (count, V)


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

    real, taken = gradients._path, []

    def counted(score: object, response: Tensor, base: Tensor, steps: int) -> Tensor:
        taken.append(steps)
        return real(score, response, base, steps)  # type: ignore[arg-type]

    monkeypatch.setattr(gradients, "_path", counted)
    found = expected_gradients(steep, torch.ones(V), torch.zeros(1, V), steps=6, most=800)
    assert taken == [6 * 2**k for k in range(len(taken))] and len(taken) > 1
    assert found.steps == taken[-1] and found.missing <= 0.01
    assert found.values.sum() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("value", [1.5, float("nan")])
def test_shares_that_never_add_up_are_refused(
    monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    real, taken = gradients._path, []

    def wrong(score: object, response: Tensor, base: Tensor, steps: int) -> Tensor:
        taken.append(steps)
        return value * real(score, response, base, steps)  # type: ignore[arg-type]

    monkeypatch.setattr(gradients, "_path", wrong)
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
