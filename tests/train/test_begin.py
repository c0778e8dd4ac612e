"""What a RUN holds when its training is refused, stopped, or diverges; and what then helps."""

from __future__ import annotations

import logging
import os
import signal
import time

import numpy as np
import pytest
import torch
from small_runs import high, weights

from mindeye_cli.core import checkpoint
from mindeye_cli.core.runs import read_run
from mindeye_cli.train import loop, memory, networks, pace, trackers
from mindeye_cli.train.config import DataConfig
from mindeye_cli.train.data import load_training_data
from mindeye_cli.train.engine import Engine
from mindeye_cli.train.networks import train_high_level
from mindeye_store import MindeyeError, MissingResource, Requeue, UsageProblem, open_store


def after_step(monkeypatch, step, action):
    """Do something with the worker right after the given step."""
    plain = loop._Worker._step

    def stepped(self, items, moment, drawn):
        value = plain(self, items, moment, drawn)
        if self.state.step == step:
            action(self)
        return value

    monkeypatch.setattr(loop._Worker, "_step", stepped)


def poison(worker):
    with torch.no_grad():
        next(worker.task.model.parameters()).fill_(float("nan"))


def test_a_refused_run_leaves_nothing_behind(make_store, tmp_path, monkeypatch):
    """Doing what the message says then works in the same RUN."""
    store, run, first = make_store(), tmp_path / "run", tmp_path / "first"
    train_high_level(high(store, first))
    start = f"init.run={first}"
    with monkeypatch.context() as patch, pytest.raises(UsageProblem) as caught:
        patch.setattr(memory, "free_memory", lambda device=None: 1000)
        patch.setattr(networks, "load_training_data", lambda *_: pytest.fail("data were read"))
        train_high_level(high(store, run))
    assert "--set optim.accumulate=4 --set optim.checkpointing=true" in caught.value.fix
    assert not run.exists()
    with monkeypatch.context() as patch, pytest.raises(MissingResource):
        patch.setattr(trackers, "find_spec", lambda name: None)
        train_high_level(high(store, run, 'loop.trackers=["tensorboard"]'))
    assert not run.exists()
    with pytest.raises(MindeyeError, match="of shape"):
        train_high_level(high(store, run, start, "model.hidden=24"))
    assert not run.exists()
    assert train_high_level(high(store, run, start)).status == "ok"
    # What is finished is found whatever memory is free today.
    monkeypatch.setattr(memory, "free_memory", lambda device=None: 1000)
    assert train_high_level(high(store, run, start)).status == "notneeded"


@pytest.mark.parametrize("step", [4, 6])
def test_a_stop_that_another_process_was_asked_for(make_store, tmp_path, monkeypatch, step):
    """In the middle of an epoch and at its end: the signal itself has not come here."""
    run, steps = tmp_path / "run", []
    after_step(monkeypatch, step, lambda worker: steps.append(worker.state.step))
    monkeypatch.setattr(Engine, "any", lambda self, flag: bool(steps))
    with pytest.raises(Requeue, match=f"another process.*step {step}"):
        train_high_level(high(make_store(), run))
    assert checkpoint.latest_step(run) == step


def test_a_stop_while_the_data_are_read(make_store, tmp_path, monkeypatch):
    """Nothing is trained, and the same command starts. A finished training is still written."""
    store, run = make_store(), tmp_path / "run"
    load, finish = networks.load_training_data, networks.finish_run

    def loading(*given):
        os.kill(os.getpid(), signal.SIGTERM)
        return load(*given)

    def finishing(*given, **named):
        os.kill(os.getpid(), signal.SIGTERM)
        return finish(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(networks, "load_training_data", loading)
        with pytest.raises(Requeue, match="step 0"):
            train_high_level(high(store, run))
    assert read_run(run).status == "training"
    assert checkpoint.latest(run) is None
    monkeypatch.setattr(networks, "finish_run", finishing)
    assert train_high_level(high(store, run)).status == "ok"
    monkeypatch.undo()
    train_high_level(high(store, tmp_path / "whole"))
    ours, whole = weights(run), weights(tmp_path / "whole")
    assert all(torch.equal(ours[name], whole[name]) for name in whole)


def test_the_way_on_from_a_divergence(make_store, tmp_path, monkeypatch):
    """The message's own words: a new RUN that starts from the kept checkpoint's weights."""
    store, run, again = make_store(), tmp_path / "run", tmp_path / "again"
    with monkeypatch.context() as patch:
        after_step(patch, 1, poison)
        with pytest.raises(MindeyeError) as caught:
            train_high_level(high(store, run))
    assert "--overwrite" in caught.value.fix
    with pytest.raises(UsageProblem, match="a not yet saved high-level run"):
        train_high_level(high(store, again, f"init.run={run}"))
    with monkeypatch.context() as patch:
        after_step(patch, 7, poison)
        with pytest.raises(MindeyeError) as caught:
            train_high_level(high(store, run))
    assert f"--set init.run={run}" in caught.value.fix
    assert "step 6" in caught.value.fix
    kept = checkpoint.latest(run).tensors
    frozen = ("optim.lr=1e-30", "optim.weight_decay=0", "optim.epochs=1", "optim.clip=1")
    train_high_level(high(store, again, f"init.run={run}", *frozen))
    for name, value in weights(again).items():
        assert torch.equal(value, kept[f"model.{name}"]), name
    # Averaged weights are what a run keeps, so they are what another one starts from.
    averaged = {"average." + name: value + 1 for name, value in weights(again).items()}
    folder = run / "checkpoints" / "ckpt-6" / checkpoint.TENSORS
    checkpoint.save_tensors(folder, {**kept, **averaged})
    train_high_level(high(store, tmp_path / "mean", f"init.run={run}", *frozen))
    for name, value in weights(tmp_path / "mean").items():
        assert torch.equal(value, averaged[f"average.{name}"]), name


def test_weights_that_are_not_finite_do_not_finish_a_run(make_store, tmp_path, monkeypatch):
    after_step(monkeypatch, 9, poison)
    with pytest.raises(MindeyeError, match="a weight is not finite"):
        train_high_level(high(make_store(), tmp_path / "run", "loop.validate_every=0"))
    assert read_run(tmp_path / "run").status == "training"


def test_input_layers_that_start_at_random_are_named(make_store, tmp_path, caplog, monkeypatch):
    store, first = make_store(third=11), tmp_path / "first"
    train_high_level(high(store, first))
    monkeypatch.setattr(logging.getLogger("mindeye"), "propagate", True)
    with caplog.at_level(logging.INFO, logger="mindeye"):
        settings = (f"init.run={first}", "optim.epochs=1")
        train_high_level(high(store, tmp_path / "run", *settings, subjects=("s1", "s3")))
    assert "s1: input layer of the run to start from" in caplog.text
    assert "s3: input layer random, the run to start from does not know the subject" in caplog.text


def test_slow_saves_are_held_back_and_quick_ones_are_not(make_store, tmp_path, monkeypatch):
    store, saved = make_store(), []
    plain = checkpoint.save

    def save(run, step, tensors, state):
        saved.append(step)
        time.sleep(0.5)
        return plain(run, step, tensors, state)

    monkeypatch.setattr(checkpoint, "save", save)
    train_high_level(high(store, tmp_path / "quick", "optim.epochs=4"))
    assert saved == [3, 6, 9]
    saved.clear()
    monkeypatch.setattr(pace, "SHORT", 0.25)
    train_high_level(high(store, tmp_path / "slow", "optim.epochs=4"))
    assert saved == [3]
    saved.clear()
    monkeypatch.setattr(pace, "SHARE", 0.999)
    train_high_level(high(store, tmp_path / "allowed", "optim.epochs=4"))
    assert saved == [3, 6, 9]
    whole, held = weights(tmp_path / "quick"), weights(tmp_path / "slow")
    assert all(torch.equal(whole[name], held[name]) for name in whole)


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        ("no loss has a weight", ("losses.contrastive=0", "losses.prior=0", "losses.regression=0")),
        ("data.validation=0", ("loop.select=best", "data.validation=0")),
        ("loop.validate_every=0", ("loop.select=best", "loop.validate_every=0")),
    ],
)
def test_settings_that_cannot_be_meant(make_store, tmp_path, words, settings):
    with pytest.raises(UsageProblem, match=words):
        train_high_level(high(make_store(), tmp_path / "run", *settings))
    assert not (tmp_path / "run").exists()


def test_a_run_is_found_again_whatever_digits_the_machine_adds(make_store, tmp_path):
    """The scale of a raw space follows from sums over all targets."""
    store, run = make_store(), tmp_path / "run"
    train_high_level(high(store, run))
    config = run / "config.toml"
    text = config.read_text()
    scale = next(line for line in text.splitlines() if line.startswith("scale = "))
    number = float(scale.removeprefix("scale = "))
    assert number == pytest.approx(1 / rms(store), rel=1e-8)
    for digits, same in ((1 + 3e-10, True), (1 + 1e-6, False)):
        config.write_text(text.replace(scale, f"scale = {number * digits!r}"))
        if same:
            assert train_high_level(high(store, run)).status == "notneeded"
        else:
            with pytest.raises(UsageProblem, match=r"config\.toml differ"):
                train_high_level(high(store, run))


def rms(path):
    """Of the targets of s1's training images, in plain numpy."""
    store = open_store(path)
    rows = np.arange(6, 30)
    return np.sqrt(np.square(store.target("array:tokens").read(rows).astype(np.float64)).mean())


def test_threads_do_not_decide_the_scale(make_store):
    data = load_training_data(open_store(make_store()), ("s1",), "array:tokens", DataConfig())
    found = data.target_rms()
    assert found == float(f"{found:.9g}")
