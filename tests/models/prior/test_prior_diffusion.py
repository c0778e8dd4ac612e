"""The prior's schedule, loss and samplers against closed forms, golden values and oracles."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from mindeye_cli.models.prior import DiffusionPrior, PriorConfig, target_scale
from mindeye_cli.models.prior.diffusion import noise_schedule
from mindeye_cli.models.prior.draws import PriorDraws, draw_prior
from mindeye_store.errors import InvalidInput, UsageProblem

TINY = PriorConfig(depth=1, heads=2, dim_head=8, ff_mult=1)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def alpha_bars(steps=100):
    """Cosine schedule of Nichol & Dhariwal 2021, float64."""
    f = np.cos((np.linspace(0, 1, steps + 1) + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.cumprod(1 - np.clip(1 - f[1:] / f[:-1], 0, 0.999))


class Oracle(nn.Module):
    """A network that knows the clean, scaled target."""

    def __init__(self, clean):
        super().__init__()
        self.clean = clean
        self.times = []

    def forward(self, noisy, times, condition, drop_condition=None, drop_image=None):
        self.times.append(int(times[0]))
        return self.clean


class GaussianOracle(nn.Module):
    """The exact posterior mean when the scaled data are N(mean, spread^2) in every element."""

    def __init__(self, mean, spread):
        super().__init__()
        self.mean, self.spread = mean, spread
        self.bars = torch.from_numpy(alpha_bars()).float()

    def forward(self, noisy, times, condition, drop_condition=None, drop_image=None):
        bar = self.bars[times][:, None, None]
        gain = bar.sqrt() * self.spread**2 / (bar * self.spread**2 + 1 - bar)
        return self.mean + gain * (noisy - bar.sqrt() * self.mean)


def prior(tokens=3, width=8, **changes):
    torch.manual_seed(0)
    settings = {name: getattr(TINY, name) for name in TINY.__dataclass_fields__} | changes
    return DiffusionPrior(tokens, width, PriorConfig(**settings))


def test_schedule_is_the_cosine_one():
    np.testing.assert_allclose(noise_schedule(100).alphas_cumprod, alpha_bars(), atol=1e-6)


@pytest.mark.parametrize("time", [0, 1, 37, 98, 99])
def test_ancestral_step_is_the_ddpm_posterior(time):
    bars = np.concatenate([[1.0], alpha_bars()])
    before, after = bars[time], bars[time + 1]
    beta = 1 - after / before
    clean, noisy = torch.randn(2, 4, 3, 8, generator=seeded())
    mean = (
        math.sqrt(before) * beta / (1 - after) * clean.double()
        + (1 - before) * math.sqrt(after / before) / (1 - after) * noisy.double()
    )
    spread = math.sqrt(beta * (1 - before) / (1 - after))
    noise = torch.randn(4, 3, 8, generator=seeded(5))
    step = noise_schedule(100).step(clean, time, noisy, generator=seeded(5)).prev_sample
    expected = mean + (spread * noise if time else 0)
    torch.testing.assert_close(step.double(), expected, rtol=1e-4, atol=1e-5)


def test_posterior_and_noising_equal_the_golden_values(golden, drawn):
    schedule = noise_schedule(100)
    np.testing.assert_allclose(schedule.alphas_cumprod, golden["alphas_cumprod"], atol=1e-6)
    noisy, clean = drawn("noisy", (3, 5, 768)), torch.from_numpy(golden["prior_x0"])
    for row, time in enumerate((0, 37, 99)):
        noise = torch.randn(1, 5, 768, generator=seeded(row)) if time else 0
        spread = math.exp(0.5 * float(golden["posterior_logvar"][row]))
        step = schedule.step(
            clean[row : row + 1], time, noisy[row : row + 1], generator=seeded(row)
        ).prev_sample
        mean = (step - spread * noise)[0].numpy()
        np.testing.assert_allclose(mean, golden["posterior_mean"][row], rtol=1e-4, atol=1e-4)
    target = drawn("clip", (3, 5, 768))
    target = target / target[:, :1].norm(dim=-1, keepdim=True)
    full = DiffusionPrior(5, 768, TINY)
    draws = PriorDraws(
        times=torch.tensor([0, 37, 99]),
        noise=drawn("eps", (3, 5, 768)),
        drop_condition=torch.zeros(3, dtype=torch.bool),
        drop_image=torch.zeros(3, dtype=torch.bool),
    )
    ours = full.add_noise(full.scale * target, draws).numpy()
    np.testing.assert_allclose(ours, golden["q_sample"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("steps", [None, 100, 20, 1])
def test_sampling_with_an_oracle_recovers_the_target(steps):
    model, target = prior(), torch.randn(5, 3, 8)
    model.net = Oracle(model.scale * target)
    sample = model.sample(torch.zeros(5, 3, 8), seeded(), steps)
    torch.testing.assert_close(sample, target, rtol=1e-5, atol=1e-5)
    spacing = 100 // (steps or 100)
    assert model.net.times == list(range(99, -1, -spacing))


@pytest.mark.parametrize("steps", [None, 50])
def test_sampling_with_the_exact_denoiser_gives_the_data_distribution(steps):
    model = prior(width=8, scale=2.0)
    model.net = GaussianOracle(mean=1.5, spread=0.7)
    sample = 2.0 * model.sample(torch.zeros(1500, 3, 8), seeded(), steps)
    assert float(sample.mean()) == pytest.approx(1.5, abs=0.03)
    assert float(sample.std()) == pytest.approx(0.7, rel=0.06)


def test_samples_follow_their_own_generators():
    model, condition = prior(timesteps=10).eval(), torch.randn(4, 3, 8)
    together = model.sample(condition, [seeded(i) for i in range(4)])
    again = model.sample(condition, [seeded(i) for i in range(4)])
    alone = model.sample(condition[2:3], [seeded(2)])
    assert torch.equal(together, again)
    torch.testing.assert_close(together[2:3], alone, rtol=1e-4, atol=1e-5)
    shared = model.sample(condition, seeded(9))
    assert torch.equal(shared, model.sample(condition, seeded(9)))
    assert not torch.allclose(shared, model.sample(condition, seeded(10)))


def test_loss_follows_its_generator_and_leaves_the_global_one_alone():
    model, target, condition = prior(), torch.randn(4, 3, 8), torch.randn(4, 3, 8)
    before = torch.get_rng_state()
    first = model.loss(target, condition, seeded(3))
    assert torch.equal(first, model.loss(target, condition, seeded(3)))
    assert not torch.equal(first, model.loss(target, condition, seeded(4)))
    assert torch.equal(torch.get_rng_state(), before)


def test_loss_of_a_batch_is_the_mean_of_its_samples_with_keyed_draws():
    model, target, condition = prior(), torch.randn(4, 3, 8), torch.randn(4, 3, 8)
    whole = model.loss(target, condition, [seeded(i) for i in range(4)])
    parts = [model.loss(target[i : i + 1], condition[i : i + 1], [seeded(i)]) for i in range(4)]
    torch.testing.assert_close(whole, torch.stack(parts).mean())


def test_loss_lives_in_the_scaled_space():
    model, target = prior(), torch.randn(4, 3, 8)
    model.net = Oracle(torch.zeros(4, 3, 8))
    expected = 8 * target.square().mean()
    torch.testing.assert_close(model.loss(target, target, seeded()), expected)


def test_conditioning_dropout_is_off_in_evaluation_unless_asked_for():
    model = prior(drop_condition=0.9, drop_image=0.9)
    plain = prior(drop_condition=0.0, drop_image=0.0)
    target, condition = torch.randn(16, 3, 8), torch.randn(16, 3, 8)
    without = plain.loss(target, condition, seeded())
    model.eval()
    assert torch.equal(model.loss(target, condition, seeded()), without)
    assert not torch.equal(model.loss(target, condition, seeded(), dropout=True), without)
    model.train()
    assert not torch.equal(model.loss(target, condition, seeded()), without)
    assert torch.equal(model.loss(target, condition, seeded(), dropout=False), without)


def test_draws_have_the_stated_distributions():
    draws = draw_prior((20000, 1, 2), PriorConfig(), seeded(), torch.device("cpu"))
    assert set(draws.times.tolist()) == set(range(100))
    assert draws.drop_condition.float().mean() == pytest.approx(0.2, abs=0.01)
    assert draws.drop_image.float().mean() == pytest.approx(0.2, abs=0.01)
    both = draws.drop_condition & draws.drop_image
    assert both.float().mean() == pytest.approx(0.04, abs=0.006)
    assert float(draws.noise.std()) == pytest.approx(1, abs=0.02)


def test_half_precision_targets_are_noised_in_float32():
    model, target = prior(), torch.randn(4, 3, 8).half()
    loss = model.loss(target, torch.randn(4, 3, 8), seeded())
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)


def test_wrong_requests_are_refused():
    model = prior()
    with pytest.raises(UsageProblem, match="30 sampling steps do not divide") as refused:
        model.sample(torch.zeros(1, 3, 8), seeded(), 30)
    assert refused.value.fix == "use one of 1, 2, 4, 5, 10, 20, 25, 50, 100"
    with pytest.raises(ValueError, match="2 generators for a batch of 3"):
        model.sample(torch.zeros(3, 3, 8), [seeded(), seeded()])
    for wrong in ({"depth": 0}, {"drop_image": 1.0}, {"scale": -1.0}):
        with pytest.raises(UsageProblem):
            PriorConfig(**wrong)


def test_scale_follows_the_declared_norm():
    assert target_scale("cls", 768) == pytest.approx(27.7128, abs=1e-4)
    assert target_scale("unit", 128) == pytest.approx(math.sqrt(128))
    assert target_scale("raw", 128, rms=0.25) == 4.0
    assert prior(scale=3.0).scale == 3.0
    assert prior(width=8).scale == pytest.approx(math.sqrt(8))
    for norm, rms in (("raw", None), ("raw", 0.0), ("l1", 1.0)):
        with pytest.raises(InvalidInput):
            target_scale(norm, 128, rms)
