"""Backbone, projector, high- and low-level models: shapes, residuals, dropout, gradients, sizes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mindeye_cli.core.config import from_toml, load_config, to_toml
from mindeye_cli.models.backbone import ResidualMLP
from mindeye_cli.models.high_level import HighLevelConfig, HighLevelModel
from mindeye_cli.models.lowlevel import LowLevelConfig, LowLevelModel
from mindeye_cli.models.presets import HIGH_LEVEL, LOW_LEVEL
from mindeye_cli.models.prior import PriorConfig
from mindeye_cli.models.projector import TokenProjector
from mindeye_store.errors import UsageProblem

TINY_PRIOR = PriorConfig(depth=1, heads=2, dim_head=8, ff_mult=1, timesteps=10)
TINY = {
    "n_voxels": (20,),
    "tokens": 3,
    "width": 8,
    "hidden": 16,
    "blocks": 2,
    "projector_hidden": 12,
    "prior": TINY_PRIOR,
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def tiny(**changes):
    torch.manual_seed(0)
    return HighLevelModel(HighLevelConfig(**(TINY | changes)))


def test_backbone_is_the_documented_chain():
    torch.manual_seed(0)
    net = ResidualMLP((7,), (2, 3), hidden=5, blocks=2, dropout_in=0.5, dropout=0.15).eval()
    state, x = net.state_dict(), torch.randn(4, 7)

    def block(x, stem, linear="linear"):
        x = F.linear(x, state[f"{stem}.{linear}.weight"], state[f"{stem}.{linear}.bias"])
        x = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
        x = x * state[f"{stem}.norm.weight"] + state[f"{stem}.norm.bias"]
        return x * (1 + torch.erf(x / 2**0.5)) / 2

    h = block(x, "stem", "linears.0")
    h = h + block(h, "blocks.0")
    h = h + block(h, "blocks.1")
    expected = (h @ state["head.weight"].T + state["head.bias"]).reshape(4, 2, 3)
    torch.testing.assert_close(net([x]), expected)


def test_projector_treats_every_token_alike():
    torch.manual_seed(0)
    head, tokens = TokenProjector(8, 12), torch.randn(2, 5, 8)
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(head(tokens)[:, order], head(tokens[:, order]))
    torch.testing.assert_close(head(tokens)[1, 2], head(tokens[1:, 2:3])[0, 0])


def test_evaluation_draws_nothing_and_training_does():
    model, voxels = tiny(), torch.randn(4, 20)
    model.eval()
    before = torch.get_rng_state()
    first, second = model([voxels]), model([voxels])
    assert torch.equal(first.backbone, second.backbone)
    assert torch.equal(torch.get_rng_state(), before)
    model.train()
    assert not torch.equal(model([voxels]).backbone, model([voxels]).backbone)


def test_prior_loss_trains_the_backbone_and_contrast_alone_the_projector():
    model, voxels, target = tiny(), torch.randn(4, 20), torch.randn(4, 3, 8)
    model([voxels], target, seeded()).prior_loss.backward()
    assert model.backbone.stem.linears[0].weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in model.projector.parameters())


def test_prior_loss_needs_a_generator():
    with pytest.raises(ValueError, match="generator"):
        tiny()([torch.randn(2, 20)], torch.randn(2, 3, 8))


def test_ablations_leave_parts_out():
    voxels, target = torch.randn(2, 20), torch.randn(2, 3, 8)
    bare = tiny(with_projector=False, with_prior=False)
    out = bare([voxels], target, seeded())
    assert out.prior_loss is None
    assert torch.equal(out.retrieval, out.backbone)
    assert {name.split(".")[0] for name in bare.state_dict()} == {"backbone"}


@pytest.mark.parametrize(
    ("side", "map_size", "channels"), [(16, 4, (8, 16, 24)), (16, 8, (8, 16)), (4, 4, (8,))]
)
def test_low_level_reaches_any_latent_size(side, map_size, channels):
    config = LowLevelConfig(
        n_voxels=(20,),
        latent_size=side,
        map_size=map_size,
        upsampler_channels=channels,
        map_channels=6,
        norm_groups=4,
        maps_width=10,
        hidden=16,
        blocks=1,
    )
    model = LowLevelModel(config)
    latents, maps = model([torch.randn(2, 20)], with_maps=True)
    assert latents.shape == (2, 4, side, side)
    assert maps.shape == (2, map_size**2, 10)
    (latents.square().mean() + maps.square().mean()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_maps_are_in_reading_order():
    torch.manual_seed(0)
    config = load_config(LowLevelConfig, preset=LOW_LEVEL["scene"], overrides=["n_voxels=[5]"])
    model = LowLevelModel(config).eval()
    feature_map = model.feature_map([torch.randn(1, 5)])
    whole = torch.nn.Sequential.forward(model.maps_projector, feature_map)
    maps = model.maps(feature_map)
    torch.testing.assert_close(maps[0, 1], whole[0, :, 0, 1])
    torch.testing.assert_close(maps[0, config.map_size], whole[0, :, 1, 0])


@pytest.mark.parametrize(
    "wrong",
    [
        {"latent_size": 30},
        {"latent_size": 2},
        {"latent_size": 28, "map_size": 16},
        {"latent_size": 64, "map_size": 128},
        {"map_size": 16, "upsampler_channels": (64, 128)},
        {"norm_groups": 48},
    ],
)
def test_low_level_sizes_that_do_not_meet_are_refused(wrong):
    with pytest.raises(UsageProblem):
        LowLevelConfig(n_voxels=(3,), **wrong)


@pytest.mark.parametrize(
    ("given", "map_size", "channels"),
    [
        ({}, 16, (64, 128, 256)),
        ({"latent_size": 28}, 7, (64, 128, 256)),
        ({"latent_size": 16}, 4, (64, 128, 256)),
        ({"latent_size": 28, "map_size": 14}, 14, (64, 128)),
        ({"latent_size": 32, "map_size": 4, "upsampler_width": 32}, 4, (32, 64, 128, 256)),
        ({"latent_size": 16, "map_size": 16}, 16, (64,)),
        ({"latent_size": 28, "upsampler_channels": (32, 96)}, 14, (32, 96)),
    ],
)
def test_map_and_levels_follow_from_the_latent(given, map_size, channels):
    config = LowLevelConfig(n_voxels=(3,), hidden=4, blocks=1, with_maps=False, **given)
    assert (config.map_size, config.upsampler_channels) == (map_size, channels)
    latents = LowLevelModel(config)([torch.zeros(1, 3)])
    assert latents.shape == (1, 4, config.latent_size, config.latent_size)
    assert from_toml(LowLevelConfig, to_toml(config)) == config


@pytest.mark.parametrize("preset", ["paper", "scene"])
def test_presets_load_and_survive_toml(preset):
    sizes = ["n_voxels=[100]", "tokens=17", "width=128"]
    high = load_config(HighLevelConfig, preset=HIGH_LEVEL[preset], overrides=sizes)
    low = load_config(LowLevelConfig, preset=LOW_LEVEL[preset], overrides=sizes[:1])
    assert from_toml(HighLevelConfig, to_toml(high)) == high
    assert from_toml(LowLevelConfig, to_toml(low)) == low
    if preset == "paper":
        assert high == HighLevelConfig(n_voxels=(100,), tokens=17, width=128)
        assert low == LowLevelConfig(n_voxels=(100,))
    else:
        latents = LowLevelModel(low)([torch.zeros(1, 100)])
        assert latents.shape == (1, 4, 16, 16)
        assert HighLevelModel(high)([torch.zeros(1, 100)]).retrieval.shape == (1, 17, 128)


def test_weights_hold_no_buffers():
    assert not list(tiny().buffers())
    assert not list(LowLevelModel(LowLevelConfig(n_voxels=(3,), hidden=4)).buffers())
