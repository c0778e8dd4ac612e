"""Published checkpoints: outputs equal the published code's, and every key is accounted for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mindeye_cli.models.high_level import HighLevelConfig, HighLevelModel
from mindeye_cli.models.lowlevel import LowLevelConfig, LowLevelModel
from mindeye_cli.models.published import from_published
from mindeye_store.errors import InvalidInput

TOLERANCE = 1e-4


def relative_error(ours, golden):
    """Largest absolute difference over the largest golden value."""
    return float(np.abs(ours.numpy() - golden).max() / np.abs(golden).max())


def count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_paper_sizes_have_the_published_parameter_counts():
    with torch.device("meta"):
        high = HighLevelModel(HighLevelConfig(n_voxels=(15724,), tokens=257, width=768))
        low = LowLevelModel(LowLevelConfig(n_voxels=(15724,)))
        bare = LowLevelModel(LowLevelConfig(n_voxels=(15724,), with_maps=False))
    assert count(high.prior) == 56_055_168
    assert count(high) - count(high.prior) == 947_579_904
    assert count(high) == 1_003_635_072
    assert count(low) == 206_065_604
    assert count(bare) == 205_505_988
    assert count(low.upsampler) == 6_841_668
    assert count(low.maps_projector) == 559_616


@pytest.mark.parametrize(("voxels", "expected"), [(14278, 941_657_088), (12682, 935_119_872)])
def test_other_subjects_counts(voxels, expected):
    with torch.device("meta"):
        model = HighLevelModel(
            HighLevelConfig(n_voxels=(voxels,), tokens=257, width=768, with_prior=False)
        )
    assert count(model) == expected


def test_high_level_outputs_equal_the_published_ones(published_state, golden, drawn):
    model = from_published(published_state("high")).build()
    with torch.no_grad():
        out = model([drawn("voxels", (3, 60))])
        clean = model.prior.net(
            drawn("noisy", (3, 5, 768)), torch.tensor([0, 37, 99]), out.backbone
        )
    assert relative_error(out.backbone, golden["backbone"]) < TOLERANCE
    assert relative_error(out.retrieval, golden["projector"]) < TOLERANCE
    assert relative_error(clean, golden["prior_x0"]) < TOLERANCE
    assert model.prior.scale == pytest.approx(float(golden["scale"]))


def test_low_level_outputs_equal_the_published_ones(published_state, golden, drawn):
    model = from_published(published_state("low")).build()
    with torch.no_grad():
        latents, maps = model([drawn("voxels", (3, 60))], with_maps=True)
        alone = model([drawn("voxels", (3, 60))])
    assert relative_error(latents, golden["latent"]) < TOLERANCE
    assert relative_error(maps[:, ::16], golden["maps"]) < TOLERANCE
    assert torch.equal(latents, alone)


@pytest.mark.parametrize(
    ("voxels", "expected"), [(14278, 200_142_788), (13039, 195_067_844), (12682, 193_605_572)]
)
def test_other_subjects_low_level_counts(voxels, expected):
    with torch.device("meta"):
        assert count(LowLevelModel(LowLevelConfig(n_voxels=(voxels,)))) == expected


def test_random_attention_would_be_seen(published_state, golden, drawn):
    """What a load that skips the old names leaves behind: the golden latent tells it apart."""
    model = from_published(published_state("low")).build()
    torch.manual_seed(0)
    attention = model.upsampler.mid_block.attentions[0]
    for layer in (attention.to_q, attention.to_k, attention.to_v, attention.to_out[0]):
        layer.reset_parameters()
    with torch.no_grad():
        latents = model([drawn("voxels", (3, 60))])
    assert relative_error(latents, golden["latent"]) > 100 * TOLERANCE


def test_old_attention_names_land(published_state):
    state = published_state("low")
    model = from_published(state).build()
    attention = model.upsampler.mid_block.attentions[0]
    stem = "upsampler.mid_block.attentions.0"
    assert torch.equal(attention.to_q.weight, state[f"{stem}.query.weight"])
    assert torch.equal(attention.to_k.weight, state[f"{stem}.key.weight"])
    assert torch.equal(attention.to_v.bias, state[f"{stem}.value.bias"])
    assert torch.equal(attention.to_out[0].weight, state[f"{stem}.proj_attn.weight"])


@pytest.mark.parametrize("kind", ["high", "low"])
def test_every_tensor_is_used_recomputed_or_listed(published_state, kind):
    state = published_state(kind)
    published = from_published(state)
    assert len(published.tensors) + len(published.recomputed) == len(state)
    assert not published.unused
    built = published.build().state_dict()
    assert built.keys() == published.tensors.keys()
    assert all(torch.equal(built[key], tensor) for key, tensor in published.tensors.items())
    used = {tensor.data_ptr() for tensor in published.tensors.values()}
    assert len(used) == len(published.tensors)


def test_pooled_layout_keeps_backbone_and_lists_its_stock_prior(published_state):
    state = {k: v for k, v in published_state("high").items() if k.startswith("voxel2clip.")}
    state["voxel2clip.lin1.weight"] = state["voxel2clip.lin1.weight"][:768]
    state["voxel2clip.lin1.bias"] = state["voxel2clip.lin1.bias"][:768]
    state["net.learned_query"] = torch.zeros(768)
    state["noise_scheduler.betas"] = torch.zeros(1000)
    published = from_published(state)
    assert set(published.unused) == {"net.learned_query", "noise_scheduler.betas"}
    model = published.build()
    assert model.prior is None
    assert model([torch.zeros(2, 60)]).retrieval.shape == (2, 1, 768)


def test_low_level_without_projector_is_accepted(published_state):
    state = {k: v for k, v in published_state("low").items() if not k.startswith("maps_")}
    model = from_published(state).build()
    with pytest.raises(ValueError, match="with_maps"):
        model([torch.zeros(1, 60)], with_maps=True)


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("high", "voxel2clip.mlp.2.0.bias"),
        ("high", "voxel2clip.lin0.0.weight"),
        ("high", "net.causal_transformer.layers.1.0.null_kv"),
        ("high", "net.causal_transformer.layers.1.0.rotary_emb.freqs"),
        ("high", "noise_scheduler.posterior_mean_coef1"),
        ("low", "upsampler.conv_out.bias"),
        ("low", "maps_projector.4.bias"),
    ],
)
def test_a_missing_key_is_named(published_state, kind, key):
    state = published_state(kind)
    del state[key]
    with pytest.raises(InvalidInput) as refused:
        from_published(state)
    assert refused.value.where == key


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("high", "net.self_cond"),
        ("high", "noise_scheduler.gammas"),
        ("high", "extra"),
        ("low", "upsampler.extra.weight"),
    ],
)
def test_an_unknown_key_is_named(published_state, kind, key):
    state = published_state(kind) | {key: torch.zeros(1)}
    with pytest.raises(InvalidInput, match="unknown") as refused:
        from_published(state)
    assert refused.value.where == key


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("high", "net.learned_query", torch.zeros(4, 768)),
        ("high", "voxel2clip.lin1.weight", torch.zeros(3841, 48)),
        ("high", "noise_scheduler.betas", torch.zeros(100)),
        ("high", "net.causal_transformer.layers.0.0.rotary_emb.freqs", torch.zeros(16)),
        ("high", "voxel2clip.lin0.0.weight", torch.zeros(5)),
        ("high", "voxel2clip.lin0.0.bias", 3),
        ("low", "lin1.weight", torch.zeros(64 * 15, 48)),
        ("low", "norm.bias", torch.zeros(63)),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(published_state, kind, key, value):
    with pytest.raises(InvalidInput) as refused:
        from_published(published_state(kind) | {key: value})
    assert refused.value.where == key


def test_both_attention_names_at_once_are_refused(published_state):
    state = published_state("low")
    stem = "upsampler.mid_block.attentions.0"
    state[f"{stem}.to_q.weight"] = state[f"{stem}.query.weight"]
    with pytest.raises(InvalidInput, match="old and their new names"):
        from_published(state)


def test_another_layout_is_refused():
    with pytest.raises(InvalidInput, match="not a published MindEye checkpoint"):
        from_published({"model_state_dict.weight": torch.zeros(1)})
