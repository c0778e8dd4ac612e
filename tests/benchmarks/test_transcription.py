"""The benchmark's two sides compute the same loss and take the same steps."""

from __future__ import annotations

import dataclasses
import importlib

import numpy as np
import pytest
import torch

PHASES = {"bimixco": 0, "softclip": 70}
TOLERANCE = 1e-5


@pytest.fixture
def sizes():
    found = importlib.import_module("train_step").SMALL
    return dataclasses.replace(found, dropout_in=0.0, dropout=0.0)


@pytest.fixture
def pair(sizes):
    """Transcription and package with the same weights, responses (12, R, V) and targets."""
    ours = importlib.import_module("ours")
    losses = importlib.import_module("transcription.losses")
    torch.manual_seed(3)
    theirs = losses.Transcription(sizes)
    source = np.random.default_rng(3)
    voxels = source.standard_normal((12, sizes.repeats, sizes.voxels), dtype=np.float32)
    targets = torch.from_numpy(
        source.standard_normal((12, sizes.tokens, sizes.width), dtype=np.float32)
    )
    model = ours.from_transcription(theirs.state_dict())
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    mine = ours.Ours(
        model,
        ours.responses(voxels, targets, torch.device("cpu")),
        batch=sizes.batch,
        epochs=60,
    )
    return theirs, mine


def both(pair, step):
    """Total and parts of both sides at a step, with the draws of the package."""
    losses = importlib.import_module("transcription.losses")
    theirs, mine = pair
    mix, prior = mine.draws(step)
    draws = losses.Draws(
        partner=mix.partner,
        share=mix.weight,
        times=prior.times,
        noise=prior.noise,
        keep_brain=~prior.drop_condition,
        keep_image=~prior.drop_image,
    )
    return theirs(*mine.unmixed(step), draws, mine.temperature(step)), mine.loss(step)


@pytest.mark.parametrize("step", PHASES.values(), ids=PHASES)
def test_loss_and_parts_agree(pair, step):
    (expected, parts), (total, ours) = both(pair, step)
    assert (pair[1].temperature(step) is None) == (step == PHASES["bimixco"])
    assert total.item() == pytest.approx(expected.item(), rel=TOLERANCE)
    assert parts.keys() == ours.keys()
    for name, value in parts.items():
        assert ours[name].item() == pytest.approx(value.item(), rel=TOLERANCE)


def test_gradients_agree(pair):
    ours = importlib.import_module("ours")
    theirs, mine = pair
    (expected, _), (total, _) = both(pair, 0)
    expected.backward()
    total.backward()
    # The published names lead from one side's gradients to the other's parameters.
    state = theirs.state_dict()
    state |= {name: p.grad for name, p in theirs.named_parameters()}
    wanted = dict(ours.from_transcription(state).named_parameters())
    for name, parameter in mine.model.named_parameters():
        largest = wanted[name].abs().max().item()
        assert (parameter.grad - wanted[name]).abs().max().item() <= 1e-4 * largest, name


def test_the_same_parameters_decay(pair):
    optimizer = importlib.import_module("transcription.optimizer")
    ours = importlib.import_module("ours")
    theirs, mine = pair
    decay = {
        id(p): group["weight_decay"]
        for group in optimizer.make_optimizer(theirs).param_groups
        for p in group["params"]
    }
    marks = {n: torch.full_like(p, decay[id(p)]) for n, p in theirs.named_parameters()}
    wanted = dict(ours.from_transcription(theirs.state_dict() | marks).named_parameters())
    found = {id(p): g["weight_decay"] for g in mine.optimizer.param_groups for p in g["params"]}
    for name, parameter in mine.model.named_parameters():
        assert found[id(parameter)] == pytest.approx(wanted[name].flatten()[0].item()), name


def test_loader_gives_every_array_of_a_sample(tmp_path, sizes):
    loader = importlib.import_module("transcription.loader")
    source = np.random.default_rng(0)
    voxels = source.standard_normal((7, 3, 4), dtype=np.float32)
    targets = voxels.sum(axis=(1, 2))[:, None, None] * np.ones((7, 2, 5), dtype=np.float32)
    shards = loader.write_shards(tmp_path, voxels, targets, shard=3)
    assert len(shards) == 3
    got, wanted = next(loader.batches(shards, 6, seed=1))
    assert got.shape == (6, 3, 4)
    assert wanted.shape == (6, 2, 5)
    for row, target in zip(got.numpy(), wanted.numpy(), strict=True):
        assert any(np.array_equal(row, stored) for stored in voxels)
        assert target[0, 0] == pytest.approx(row.sum(), rel=1e-5)
