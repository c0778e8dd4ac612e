"""DALLE2-pytorch's stock prior by configuration: its own outputs, its keys, weights to start from.

`stock_prior.npz` was written once by dalle2-pytorch 1.15.6 itself: a `DiffusionPriorNetwork` of
dim 48, 20 steps in its table of times, 6 text positions, depth 2, 3 heads of 40, ff_mult 2 and
normformer, inside a `DiffusionPrior` of 20 steps. Every weight is `checkpoint_helpers.weight` of
its key. Stored are all keys and shapes, the schedule's arrays, and in evaluation mode the network's
outputs for inputs `drawn("noisy", (4, 48))` and `drawn("condition", (4, 48))` as text embedding, at
steps 0, 3, 7 and 19: plain (`x0`), with the text dropped, and with text and image dropped.
"""

from __future__ import annotations

import checkpoint_helpers as helpers
import numpy as np
import pytest
import torch

from mindeye_cli.models.high_level import HighLevelConfig, HighLevelModel
from mindeye_cli.models.presets import HIGH_LEVEL
from mindeye_cli.models.prior import DiffusionPrior, PriorConfig
from mindeye_cli.models.prior.initial import load_initial_prior
from mindeye_cli.models.prior.network import PriorNetwork
from mindeye_cli.models.published import from_published
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem

SMALL = PriorConfig(
    depth=2,
    heads=3,
    dim_head=40,
    ff_mult=2,
    timesteps=20,
    causal=True,
    query="token",
    time="table",
    padding=6,
    inner_norm=True,
)
ABSENT = ("net.null_text_encodings", "net.null_text_embeds", "net.null_image_embed")


@pytest.fixture(scope="module")
def golden():
    with np.load(helpers.STOCK) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture
def model():
    return from_published(helpers.pooled()).build()


def inputs():
    noisy = torch.from_numpy(helpers.drawn("noisy", (4, 48)))[:, None]
    return noisy, torch.from_numpy(helpers.drawn("condition", (4, 48)))[:, None]


@pytest.mark.parametrize(
    ("name", "condition", "image"),
    [("x0", False, False), ("x0_no_condition", True, False), ("x0_nothing", True, True)],
)
def test_outputs_equal_the_libraries_own(model, golden, name, condition, image):
    noisy, given = inputs()
    times = torch.from_numpy(golden["times"])
    drops = [torch.full((4,), dropped) for dropped in (condition, image)]
    with torch.no_grad():
        ours = model.prior.net(noisy, times, given, *drops)[:, 0].numpy()
    wanted = golden[name]
    assert np.abs(ours - wanted).max() / np.abs(wanted).max() < 1e-5
    assert model.prior.scale == pytest.approx(float(golden["scale"]))


def test_every_key_of_the_pooled_layout_is_used_or_recomputed():
    state = helpers.pooled()
    published = from_published(state)
    assert published.layout == "prior_1x768" and not published.unused and not published.note
    assert sorted((*published.used, *published.recomputed)) == sorted(state)
    assert published.config.prior == PriorConfig(
        **{name: getattr(SMALL, name) for name in SMALL.__dataclass_fields__}
        | {"drop_condition": 0.1, "drop_image": 0.1, "dropout": 0.05}
    )
    built = published.build().state_dict()
    assert all(torch.equal(built[name], value) for name, value in published.tensors.items())


@pytest.mark.parametrize("key", ["net.learned_query", "net.causal_transformer.layers.1.1.3.g"])
def test_a_stock_prior_that_lacks_a_key_is_refused(key):
    state = helpers.pooled()
    del state[key]
    with pytest.raises(InvalidInput, match="missing") as refused:
        from_published(state)
    assert refused.value.where == key


def test_a_prior_of_unknown_layout_is_listed_with_the_reason():
    state = helpers.pooled()
    state["net.some_text_encodings"] = state.pop("net.null_text_encodings")
    published = from_published(state)
    assert not published.config.with_prior and "unknown layout" in published.note
    assert sorted((*published.used, *published.unused)) == sorted(state)


def test_paper_pooled_has_the_size_of_the_published_file():
    sizes = HIGH_LEVEL["paper-pooled"]
    with torch.device("meta"):
        config = HighLevelConfig(
            **{**sizes, "prior": PriorConfig(**sizes["prior"])},
            n_voxels=(15724,),
            tokens=1,
            width=768,
        )
        model = HighLevelModel(config)
    prior = sum(p.numel() for p in model.prior.parameters())
    # dalle2-pytorch's own count; 142,076,928 more and 12 bytes each make the published 2.93 GB.
    assert prior == 101_894_016
    assert sum(p.numel() for p in model.parameters()) - prior == 142_076_928


def test_a_causal_network_sees_nothing_later():
    torch.manual_seed(0)
    net = PriorNetwork(3, 16, PriorConfig(depth=2, heads=2, dim_head=8, ff_mult=1, causal=True))
    sequence = torch.randn(1, 7, 16)
    changed = sequence.clone()
    changed[:, 4, 0] += 3
    with torch.no_grad():
        before, after = net.transformer(sequence), net.transformer(changed)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


def test_dropout_acts_in_training_alone():
    torch.manual_seed(0)
    prior = DiffusionPrior(1, 48, PriorConfig(**{**_fields(SMALL), "dropout": 0.5}))
    noisy, given = inputs()
    times = torch.zeros(4, dtype=torch.int64)
    assert not torch.equal(prior.net(noisy, times, given), prior.net(noisy, times, given))
    prior.eval()
    assert torch.equal(prior.net(noisy, times, given), prior.net(noisy, times, given))


@pytest.mark.parametrize("tokens", [1, 3])
def test_every_parameter_learns(tokens):
    torch.manual_seed(0)
    settings = {**_fields(SMALL), "dropout": 0.1, "drop_condition": 0.5, "drop_image": 0.5}
    prior = DiffusionPrior(tokens, 48, PriorConfig(**settings)).train()
    condition = torch.randn(64, tokens, 48, requires_grad=True)
    source = torch.Generator().manual_seed(0)
    prior.loss(torch.randn(64, tokens, 48), condition, source).backward()
    idle = [n for n, p in prior.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert not idle
    assert torch.isfinite(condition.grad).all() and condition.grad.abs().sum() > 0


def test_a_file_of_the_older_layout_starts_the_prior(tmp_path):
    state = {k: v for k, v in helpers.stock_prior().items() if k not in ABSENT}
    older = state | {"net.null_text_embed": torch.zeros(1, 5, 48), "clip.clip.x": torch.zeros(2)}
    torch.save(older, tmp_path / "best.pth")
    torch.manual_seed(1)
    prior = DiffusionPrior(1, 48, SMALL)
    before = {name: value.clone() for name, value in prior.state_dict().items()}
    left = load_initial_prior(prior, tmp_path / "best.pth")
    assert sorted(left) == ["net.null_condition", "net.null_image", "net.padding"]
    after = prior.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in left)
    assert torch.equal(after["net.query"][0], state["net.learned_query"])
    whole = from_published(helpers.pooled()).tensors
    for name in set(after) - set(left):
        assert torch.equal(after[name], whole[f"prior.{name}"]), name


def test_a_whole_file_leaves_nothing_random(tmp_path):
    torch.save(helpers.stock_prior(), tmp_path / "best.pth")
    assert load_initial_prior(DiffusionPrior(1, 48, SMALL), tmp_path / "best.pth") == ()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"net.learned_query": None}, "net.learned_query"),
        ({"net.causal_transformer.norm.g": None}, "net.causal_transformer.norm.g"),
        ({"net.extra": torch.zeros(1)}, "net.extra"),
        ({"noise_scheduler.betas": torch.zeros(20)}, "noise_scheduler.betas"),
        ({"net.to_time_embeds.0.weight": torch.zeros(10, 48)}, "net.to_time_embeds.0.weight"),
        ({"net.causal_transformer.norm.g": 3}, "net.causal_transformer.norm.g"),
    ],
)
def test_another_file_is_refused_and_changes_nothing(tmp_path, change, named):
    state = helpers.stock_prior() | change
    torch.save({k: v for k, v in state.items() if v is not None}, tmp_path / "best.pth")
    prior = DiffusionPrior(1, 48, SMALL)
    before = {name: value.clone() for name, value in prior.state_dict().items()}
    with pytest.raises(InvalidInput) as refused:
        load_initial_prior(prior, tmp_path / "best.pth")
    assert named in str(refused.value)
    assert all(torch.equal(value, before[name]) for name, value in prior.state_dict().items())


def test_the_token_prior_takes_no_initial_file(tmp_path):
    with pytest.raises(UsageProblem, match="stock prior"):
        load_initial_prior(DiffusionPrior(5, 48, PriorConfig(depth=1)), tmp_path / "best.pth")
    with pytest.raises(MissingResource):
        load_initial_prior(DiffusionPrior(1, 48, SMALL), tmp_path / "best.pth")


def _fields(config):
    return {name: getattr(config, name) for name in config.__dataclass_fields__}
