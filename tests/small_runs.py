"""Requests for tiny runs on the stores of `conftest.py`, and comparisons of their weights."""

from __future__ import annotations

import torch
from safetensors.torch import load_file

from mindeye_cli.train.request import TrainRequest

HIGH = (
    "optim.epochs=3",
    "optim.batch=8",
    "data.validation=0.2",
    "loop.validate_every=1",
    "loop.log_every=1",
    "model.hidden=16",
    "model.blocks=1",
    "model.projector_hidden=8",
    "model.prior.depth=2",
    "model.prior.heads=2",
    "model.prior.dim_head=8",
    "losses.mixco_share=0.5",
)
PLAIN = ("model.dropout_in=0", "model.dropout=0", "data.repeats=mean")


def high(store, run, *overrides, subjects=("s1",), **options):
    return TrainRequest(
        store=store,
        run=run,
        subjects=subjects,
        space="array:tokens",
        preset="scene",
        overrides=(*HIGH, *overrides),
        **options,
    )


def weights(run):
    return load_file(run / "model.safetensors")


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def assert_close(a, b, **tolerance):
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], **tolerance)
