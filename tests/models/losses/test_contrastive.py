"""Contrastive losses against double loops in float64 and the published code's values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from mindeye_cli.models.losses import (
    Mix,
    bimixco,
    draw_mix,
    mix_voxels,
    soft_contrastive,
    softclip,
    softclip_temperature,
    token_rows,
    unit_rows,
)


def rows(seed, n=6, width=10):
    x = np.random.default_rng(seed).standard_normal((n, width))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def log_softmax(x):
    shifted = x - x.max()
    return shifted - np.log(np.exp(shifted).sum())


@pytest.fixture
def golden_rows(drawn):
    return lambda name: unit_rows(drawn(name, (16, 96)).double())


def plain_mixco(p, t, perm, weight, temperature, assign):
    """Each pair's share of the target, one by one."""
    n = len(p)
    shares = np.zeros((n, n))
    for i in range(n):
        shares[i, i] += weight[i]
    for i in range(n):
        shares[i, perm[i]] = (0 if assign else shares[i, perm[i]]) + 1 - weight[i]
    logits = p @ t.T / temperature
    total = 0.0
    for i in range(n):
        for j in range(n):
            total -= shares[i, j] * log_softmax(logits[i])[j]
            total -= shares[i, j] * log_softmax(logits[:, j])[i]
    return total / (2 * n)


@pytest.mark.parametrize("published", [False, True])
def test_bimixco_equals_a_double_loop_with_fixed_points(published):
    p, t = rows(0), rows(1)
    perm = np.array([0, 2, 1, 3, 5, 4])  # samples 0 and 3 are their own partners
    weight = np.array([0.3, 0.9, 0.2, 1.0, 1.0, 0.6])
    mix = Mix(partner=torch.from_numpy(perm), weight=torch.from_numpy(weight))
    ours = bimixco(torch.from_numpy(p), torch.from_numpy(t), mix, 0.05, published=published)
    assert float(ours) == pytest.approx(plain_mixco(p, t, perm, weight, 0.05, published), rel=1e-9)


def test_bimixco_of_unmixed_samples_is_nce_whatever_the_partners():
    p, t = torch.from_numpy(rows(0)), torch.from_numpy(rows(1))
    mix = Mix(partner=torch.arange(6), weight=torch.ones(6))
    logits, own = p @ t.T / 0.006, torch.arange(6)
    nce = (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2
    torch.testing.assert_close(bimixco(p, t, mix), nce)
    assert float(bimixco(p, t, mix, published=True)) == 0.0


def test_bimixco_and_nce_equal_the_golden_values(golden, golden_rows):
    mix = Mix(partner=torch.from_numpy(golden["perm"]), weight=torch.from_numpy(golden["lam"]))
    p, t = golden_rows("p"), golden_rows("t")
    for published in (False, True):
        ours = bimixco(p, t, mix, published=published)
        assert float(ours) == pytest.approx(float(golden["bimixco"]), rel=1e-6)
    unmixed = Mix(partner=torch.arange(len(p)), weight=torch.ones(len(p)))
    assert float(bimixco(p, t, unmixed)) == pytest.approx(float(golden["nce"]), rel=1e-6)


def test_mixing_is_a_convex_combination_with_the_partner():
    voxels = torch.randn(5, 7)
    mix = draw_mix(5, np.random.default_rng(0), fraction=0.8)
    mixed = mix_voxels(voxels, mix)
    for i in range(5):
        share, other = float(mix.weight[i]), int(mix.partner[i])
        expected = share * voxels[i] + (1 - share) * voxels[other]
        torch.testing.assert_close(mixed[i], expected)
    whole = Mix(partner=mix.partner, weight=torch.ones(5))
    assert torch.equal(mix_voxels(voxels, whole), voxels)


def test_draws_of_the_mix_have_the_stated_distribution():
    mix = draw_mix(40000, np.random.default_rng(0))
    assert torch.equal(mix.partner.sort().values, torch.arange(40000))
    mixed = mix.weight[mix.weight < 1]
    assert len(mixed) / 40000 == pytest.approx(0.5, abs=0.05)  # some shares round to 1
    beta = np.random.default_rng(1).beta(0.15, 0.15, 40000)
    assert float(mix.weight.mean()) == pytest.approx(0.75, abs=0.01)
    assert float(mixed.var()) == pytest.approx(float(beta[beta < 1].var()), rel=0.05)
    again = draw_mix(40000, np.random.default_rng(0))
    assert torch.equal(mix.weight, again.weight)


def test_softclip_equals_a_double_loop():
    p, t = rows(0), rows(1)
    labels, logits = t @ t.T / 0.1, p @ t.T / 0.1
    total = 0.0
    for i in range(6):
        soft = np.exp(log_softmax(labels[i]))
        for j in range(6):
            total -= soft[j] * log_softmax(logits[i])[j]
            total -= soft[j] * log_softmax(logits[:, i])[j]
    ours = softclip(torch.from_numpy(p), torch.from_numpy(t), 0.1)
    assert float(ours) == pytest.approx(total / 12, rel=1e-9)


@pytest.mark.parametrize("temperature", ["0.004", "0.0075", "0.125"])
def test_softclip_equals_the_golden_values(golden, golden_rows, temperature):
    ours = softclip(golden_rows("p"), golden_rows("t"), float(temperature))
    assert float(ours) == pytest.approx(float(golden[f"softclip_{temperature}"]), rel=1e-6)


def test_softclip_is_least_where_prediction_is_target():
    t = torch.from_numpy(rows(1))
    best = t.clone().requires_grad_()
    softclip(best, t, 0.1).backward()
    assert float(best.grad.abs().max()) < 1e-9
    assert softclip(torch.from_numpy(rows(0)), t, 0.1) > softclip(t, t, 0.1)


def test_softclip_temperature_ramps_up_by_half_a_cosine():
    ramp = [softclip_temperature(epoch, 161) for epoch in range(161)]
    assert ramp[0] == pytest.approx(0.004)
    assert ramp[-1] == pytest.approx(0.0075)
    assert ramp[80] == pytest.approx(0.00575)
    assert all(a < b for a, b in zip(ramp, ramp[1:], strict=False))
    assert softclip_temperature(0, 1) == pytest.approx(0.004)


def test_soft_contrastive_equals_a_double_loop_and_the_golden_value(golden, golden_rows):
    z, t, a = rows(0), rows(1), rows(2)
    total = 0.0
    for i in range(6):
        for j in range(6):
            total -= np.exp(log_softmax(t[i] @ a.T / 0.2)[j]) * log_softmax(z[i] @ a.T / 0.2)[j]
            total -= np.exp(log_softmax(a[i] @ t.T / 0.2)[j]) * log_softmax(a[i] @ z.T / 0.2)[j]
    ours = soft_contrastive(*(torch.from_numpy(x) for x in (z, t, a)), 0.2)
    assert float(ours) == pytest.approx(total / 12, rel=1e-9)
    stored = soft_contrastive(golden_rows("p"), golden_rows("t"), golden_rows("ta"))
    assert float(stored) == pytest.approx(float(golden["softcont_0.075"]), rel=1e-6)


def test_three_sets_with_the_teacher_twice_are_softclip():
    z, t = torch.from_numpy(rows(0)), torch.from_numpy(rows(1))
    torch.testing.assert_close(soft_contrastive(z, t, t, 0.2), softclip(z, t, 0.2))


def test_teachers_receive_no_gradient():
    z, t, a = (torch.from_numpy(rows(i)).requires_grad_() for i in range(3))
    soft_contrastive(z, t, a).backward()
    assert z.grad is not None
    assert t.grad is None
    assert a.grad is None


def test_rows_have_unit_length_in_float32():
    x = torch.randn(3, 4, 5).half()
    flat, tokens = unit_rows(x), token_rows(x)
    assert flat.shape == (3, 20)
    assert tokens.shape == (12, 5)
    assert flat.dtype == tokens.dtype == torch.float32
    torch.testing.assert_close(flat.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(tokens.norm(dim=1), torch.ones(12))
    torch.testing.assert_close(tokens[5], x[1, 1].float() / x[1, 1].float().norm())
