"""The loop on tiny stores: resume bit for bit, stops, divergence, and what is never read."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mindeye_cli.core import checkpoint
from mindeye_cli.train import loop as loop_module
from mindeye_cli.train.networks import train_high_level, train_low_level
from mindeye_cli.train.request import TrainRequest
from mindeye_cli.train.ridge import train_ridge
from mindeye_store import (
    InvalidInput,
    MindeyeError,
    MissingResource,
    Requeue,
    UsageProblem,
    open_store,
)

TINY = (
    "optim.epochs=4",
    "optim.batch=8",
    "optim.ema=0.9",
    "data.validation=0.2",
    "data.noise=0.1",
    "loop.select=best",
    "loop.validate_every=1",
    "loop.log_every=1",
    "model.hidden=16",
    "model.blocks=1",
    "model.projector_hidden=8",
    "model.prior.depth=1",
    "model.prior.heads=2",
    "model.prior.dim_head=8",
    "losses.mixco_share=0.5",
)
LOW = (
    "optim.epochs=2",
    "optim.batch=8",
    "model.hidden=16",
    "model.blocks=1",
    "model.map_size=4",
    "model.map_channels=16",
    "model.upsampler_channels=[16]",
    "model.norm_groups=4",
    "model.maps_width=16",
    "losses.teacher=array:teacher",
)


def request(store, run, *overrides, **options):
    values = {"subjects": ("s1",), "space": "array:tokens", "preset": "scene"} | options
    return TrainRequest(store=store, run=run, overrides=(*TINY, *overrides), **values)


def low_request(store, run, *overrides):
    return TrainRequest(
        store=store,
        run=run,
        subjects=("s1",),
        space="array:latent",
        preset="scene",
        overrides=(*LOW, *overrides),
    )


def weights(run):
    return load_file(run / "model.safetensors")


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def stop_at(monkeypatch, step, action):
    """Do something right after the given step."""
    plain = loop_module._Worker._step

    def stepped(self, items, moment, drawn):
        value = plain(self, items, moment, drawn)
        if self.state.step == step:
            action()
        return value

    monkeypatch.setattr(loop_module._Worker, "_step", stepped)


def test_outcome_log_and_rerun(make_store, tmp_path):
    store, run = make_store(), tmp_path / "run"
    done = train_high_level(request(store, run))
    assert done.status == "ok"
    assert done.values["steps"] == 12
    assert done.values["checkpoint"] == run / "model.safetensors"
    assert 0.0 <= done.values["metrics"]["top1"] <= 1.0
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 13))
    assert not (run / "checkpoints").exists()
    again = train_high_level(request(store, run))
    assert again.status == "notneeded"
    assert again.values["metrics"] == done.values["metrics"]
    with pytest.raises(UsageProblem, match="another run"):
        train_high_level(request(store, run, "seed=1"))
    with pytest.raises(UsageProblem, match="already"):
        train_high_level(request(store, run, resume="never"))
    other = train_high_level(request(store, run, "seed=1", overwrite=True))
    assert other.status == "ok"


@pytest.mark.parametrize("step", [1, 5, 6, 11])
def test_a_stopped_run_continues_bit_for_bit(make_store, tmp_path, monkeypatch, step):
    store = make_store()
    train_high_level(request(store, tmp_path / "whole"))
    with monkeypatch.context() as patch:
        stop_at(patch, step, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(Requeue):
            train_high_level(request(store, tmp_path / "cut"))
    assert checkpoint.latest_step(tmp_path / "cut") == step
    train_high_level(request(store, tmp_path / "cut"))
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
    logs = [(tmp_path / name / "log.jsonl").read_text() for name in ("whole", "cut")]
    assert logs[0] == logs[1]


def test_low_level_continues_bit_for_bit(make_store, tmp_path, monkeypatch):
    store = make_store()
    done = train_low_level(low_request(store, tmp_path / "whole"))
    assert done.values["metrics"]["mae"] > 0
    with monkeypatch.context() as patch:
        stop_at(patch, 2, lambda: os.kill(os.getpid(), signal.SIGUSR1))
        with pytest.raises(Requeue):
            train_low_level(low_request(store, tmp_path / "cut"))
    train_low_level(low_request(store, tmp_path / "cut"))
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))


def test_test_rows_are_never_read(make_store, tmp_path):
    """Poisoned test responses and targets change no weight of any model."""
    plain, poisoned = make_store("a.zarr"), make_store("b.zarr", poison=1e4)
    for name, train, make in (
        ("high", train_high_level, request),
        ("low", train_low_level, low_request),
        ("ridge", train_ridge, _ridge),
    ):
        train(make(plain, tmp_path / f"{name}-a"))
        train(make(poisoned, tmp_path / f"{name}-b"))
        assert_same(weights(tmp_path / f"{name}-a"), weights(tmp_path / f"{name}-b"))


def _ridge(store, run, **options):
    return TrainRequest(
        store=store, run=run, subjects=("s1",), space="array:vector", preset="paper", **options
    )


def test_an_image_that_is_test_for_anybody_trains_nobody(make_store, tmp_path):
    store = make_store(shared_test=5)
    done = train_ridge(_ridge(store, tmp_path / "run"))
    assert done.values["metrics"]["n_images"] == 24 - 5


def test_divergence_names_the_batch_and_keeps_the_checkpoint(make_store, tmp_path, monkeypatch):
    store, run = make_store(), tmp_path / "run"
    plain = loop_module._Worker._step

    def poisoned(self, items, moment, drawn):
        if moment.step == 7:
            with torch.no_grad():
                next(self.task.model.parameters()).fill_(float("nan"))
        return plain(self, items, moment, drawn)

    monkeypatch.setattr(loop_module._Worker, "_step", poisoned)
    with pytest.raises(MindeyeError, match=r"not finite .*step 7, images img\d{3}") as caught:
        train_high_level(request(store, run))
    assert not isinstance(caught.value, InvalidInput | UsageProblem)
    assert checkpoint.latest_step(run) == 6
    last = json.loads((run / "log.jsonl").read_text().splitlines()[-1])
    assert len(last["batch"]) > 0
    kept = checkpoint.latest(run)
    assert kept is not None
    assert all(torch.isfinite(value).all() for value in kept.tensors.values())


def test_bad_requests(make_store, tmp_path):
    store, run = make_store(), tmp_path / "run"
    with pytest.raises(MissingResource, match="prepare targets"):
        train_high_level(request(store, run, space="scene-clip:tokens"))
    with pytest.raises(InvalidInput, match="not tokens"):
        train_high_level(request(store, run, space="array:latent"))
    with pytest.raises(InvalidInput, match="square latents"):
        train_low_level(replace(low_request(store, run), space="array:tokens"))
    with pytest.raises(MissingResource):
        train_low_level(low_request(store, run, "losses.teacher=vicregl-convnext-xl:maps"))
    with pytest.raises(InvalidInput, match="do not fit maps") as refused:
        train_low_level(low_request(store, run, "losses.teacher=array:tokens"))
    assert "model.map_size=2 and model.maps_width=16" in refused.value.fix
    three = ("losses.form=three-set", "losses.augmented=array:other")
    with pytest.raises(MissingResource, match="array:other"):
        train_low_level(low_request(store, run, *three))
    with pytest.raises(UsageProblem, match="three-set alone"):
        train_low_level(low_request(store, run, "losses.augmented=array:teacher@view1"))
    with pytest.raises(UsageProblem, match="larger than"):
        train_high_level(request(store, run, "optim.batch=500"))
    with pytest.raises(UsageProblem, match="contradicts"):
        train_high_level(request(store, run, "model.n_voxels=[3]"))
    with pytest.raises(UsageProblem, match="did you mean"):
        train_high_level(request(store, run, "optim.epoch=3"))
    with pytest.raises(UsageProblem, match="subjects named"):
        train_ridge(replace(_ridge(store, run), subjects=("s1", "s2")))
    with pytest.raises(UsageProblem, match="named twice"):
        train_high_level(request(store, run, subjects=("s1", "s1")))
    with pytest.raises(UsageProblem, match="unknown preset"):
        train_high_level(request(store, run, preset="huge"))
    with pytest.raises(MissingResource, match="s9"):
        train_ridge(replace(_ridge(store, run), subjects=("s9",)))
    assert not run.exists()


def test_non_finite_training_values_are_refused(make_store, tmp_path, monkeypatch):
    # The store refuses to write such values, so they can only come from a file changed later.
    store = make_store()
    reader = type(open_store(store).target("array:vector"))
    plain = reader.read

    def read(self, rows):
        values = plain(self, rows).copy()
        values[3] = np.nan
        return values

    monkeypatch.setattr(reader, "read", read)
    with pytest.raises(InvalidInput, match="not finite, first image 9"):
        train_ridge(_ridge(store, tmp_path / "run"))


def test_ablations_leave_networks_out(make_store, tmp_path):
    store = make_store()
    train_high_level(request(store, tmp_path / "a", "losses.prior=0", "optim.epochs=1"))
    assert not any(name.startswith("prior.") for name in weights(tmp_path / "a"))
    train_high_level(request(store, tmp_path / "b", "losses.contrastive=0", "optim.epochs=1"))
    assert not any(name.startswith("projector.") for name in weights(tmp_path / "b"))


def test_dry_run_counts_and_writes_nothing(make_store, tmp_path):
    store, run = make_store(), tmp_path / "run"
    plan = train_high_level(request(store, run, dry_run=True)).values
    assert not run.exists()
    train_high_level(request(store, run))
    assert plan["parameters"] == sum(value.numel() for value in weights(run).values())
    assert plan["planned_steps"] == 12
    assert plan["bytes"]["moments"] == 8 * plan["parameters"]
    assert train_ridge(_ridge(store, tmp_path / "r", dry_run=True)).values["parameters"] == 21 * 16


def test_cross_validation_predicts_every_image(make_store, tmp_path):
    store, run = make_store(), tmp_path / "run"
    request_cv = replace(_ridge(store, run), overrides=("cv=image", "whiten=true"))
    metrics = train_ridge(request_cv).values["metrics"]
    saved = np.load(run / "cross_validated.npz")
    assert saved["prediction"].shape == (30, 16)
    assert saved["image_rows"].tolist() == list(range(30))
    assert metrics["pairwise"]["value"] > 0.8
    assert metrics["pairwise"]["permuted"]["mean"] == pytest.approx(0.5, abs=0.02)
