"""What changes how a step is computed but not what it computes: precision, parts, recomputation."""

from __future__ import annotations

import errno
import json
import os
import signal

import numpy as np
import pytest
import torch
from small_runs import PLAIN, assert_close, assert_same, high, weights
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mindeye_cli.core import checkpoint
from mindeye_cli.models.projector import TokenProjector
from mindeye_cli.models.running import compile_parts
from mindeye_cli.train import data, high_level, loop, memory
from mindeye_cli.train.config import DataConfig
from mindeye_cli.train.networks import train_high_level
from mindeye_store import MissingResource, Requeue, UsageProblem, open_store


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_trains_float32_weights_and_resumes(
    make_store, tmp_path, monkeypatch, precision
):
    store, setting = make_store(), f"optim.precision={precision}"
    train_high_level(high(store, tmp_path / "whole", setting))
    plain = loop._Worker._step

    def stopping(self, items, moment, drawn):
        value = plain(self, items, moment, drawn)
        if self.state.step == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return value

    with monkeypatch.context() as patch:
        patch.setattr(loop._Worker, "_step", stopping)
        with pytest.raises(Requeue):
            train_high_level(high(store, tmp_path / "cut", setting))
    kept = checkpoint.latest(tmp_path / "cut")
    assert ("scale" in kept.state["scaler"]) == (precision == "fp16")
    train_high_level(high(store, tmp_path / "cut", setting))
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
    assert all(value.dtype == torch.float32 for value in weights(tmp_path / "cut").values())
    train_high_level(high(store, tmp_path / "full"))
    first = [
        json.loads((tmp_path / name / "log.jsonl").read_text().splitlines()[0])["loss"]
        for name in ("full", "whole")
    ]
    assert first[0] != first[1]
    assert first[1] == pytest.approx(first[0], rel=0.02)


def test_parts_of_a_batch_add_up_to_it(make_store, tmp_path):
    """Without a contrastive loss, whose negatives are those of a part, nothing changes."""
    store = make_store()
    setting = (*PLAIN, "losses.contrastive=0", "losses.regression=1")
    train_high_level(high(store, tmp_path / "whole", *setting))
    train_high_level(high(store, tmp_path / "parts", *setting, "optim.accumulate=3"))
    assert_close(weights(tmp_path / "whole"), weights(tmp_path / "parts"), rtol=1e-3, atol=1e-4)
    logs = [
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("whole", "parts")
    ]
    for one, other in zip(*logs, strict=True):
        if "loss" in one:
            assert other["loss"] == pytest.approx(one["loss"], rel=1e-4)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_recomputed_activations_change_nothing(make_store, tmp_path, dropout):
    store, setting = make_store(), f"prior.dropout={dropout}"
    train_high_level(high(store, tmp_path / "kept", setting))
    train_high_level(high(store, tmp_path / "again", setting, "optim.checkpointing=true"))
    assert_close(weights(tmp_path / "kept"), weights(tmp_path / "again"), rtol=1e-5, atol=1e-6)


def test_validation_goes_through_the_networks_in_parts(make_store, tmp_path, monkeypatch):
    store, sizes = make_store(), []
    whole = train_high_level(high(store, tmp_path / "whole")).values["metrics"]
    plain = TokenProjector.forward
    monkeypatch.setattr(
        TokenProjector,
        "forward",
        lambda self, x: (sizes.append((self.training, len(x))), plain(self, x))[1],
    )
    monkeypatch.setattr(high_level, "VALIDATION_BATCH", 2)
    parts = train_high_level(high(store, tmp_path / "parts")).values["metrics"]
    assert [size for training, size in sizes if not training] == [2, 2, 1] * 3
    for name in ("top1", "prior"):
        assert parts[name] == pytest.approx(whole[name], rel=1e-5)


def test_targets_without_room_in_memory_are_read_ahead(make_store, tmp_path, monkeypatch):
    """`auto` on a CPU: reading them in the step would keep it waiting."""
    asked, plain = [], loop.Feed.__init__
    monkeypatch.setattr(
        loop.Feed, "__init__", lambda self, ahead: (asked.append(ahead), plain(self, ahead))[1]
    )
    store = make_store()
    train_high_level(high(store, tmp_path / "kept"))
    monkeypatch.setattr(data, "MEMORY_SHARE", 0.0)
    train_high_level(high(store, tmp_path / "stored"))
    assert asked == [False, True]
    assert_same(weights(tmp_path / "kept"), weights(tmp_path / "stored"))


def test_processes_on_one_machine_share_its_memory(make_store, monkeypatch):
    store = open_store(make_store())
    monkeypatch.setattr(data, "free_memory", lambda: 4 * 24 * 5 * 16 * 3)
    for processes, kept in ((1, True), (4, False)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
        found = data.load_training_data(store, ("s1",), "array:tokens", DataConfig())
        assert found.in_memory == kept


def test_targets_read_from_the_store_ahead_of_the_step_change_nothing(make_store, tmp_path):
    store = make_store()
    train_high_level(high(store, tmp_path / "memory"))
    done = train_high_level(high(store, tmp_path / "store", "data.keep=store"))
    assert_same(weights(tmp_path / "memory"), weights(tmp_path / "store"))
    assert 0 <= done.values["metrics"]["data_wait_share"] <= 1


def test_activations_are_what_autograd_keeps():
    """Against the sum by hand: both inputs of the linear layers, the mask-free ReLU's output."""
    with torch.device("meta"):
        model = torch.nn.Sequential(
            torch.nn.Linear(10, 20), torch.nn.ReLU(), torch.nn.Linear(20, 5)
        )
        x = torch.empty(7, 10)
    assert memory.activation_bytes(model, lambda: model(x)) == 4 * 7 * (10 + 20)


def test_a_run_that_cannot_fit_is_refused_with_its_numbers(make_store, tmp_path, monkeypatch):
    store = make_store()
    plan = train_high_level(high(store, tmp_path / "run", dry_run=True)).values
    assert plan["fits"] is True
    needed = plan["bytes"]["total"] - plan["bytes"]["data"]
    assert plan["bytes"]["activations"] > 0
    monkeypatch.setattr(memory, "free_memory", lambda device=None: int(needed / memory.SPARE) - 2)
    assert train_high_level(high(store, tmp_path / "run", dry_run=True)).values["fits"] is False
    with pytest.raises(UsageProblem, match=r"needs 0\.0 GiB \(weights .*lean"):
        train_high_level(high(store, tmp_path / "run"))


def test_the_plan_counts_what_a_cpu_holds(make_store, tmp_path, monkeypatch):
    """Responses lie in main memory however targets are kept; averaged weights take two copies."""
    store, run = make_store(), tmp_path / "run"
    subject = open_store(store).subject("s1")
    responses = 4 * 20 * int(np.sum(np.asarray(subject.split) == 0))
    plan = train_high_level(high(store, run, "data.keep=store", dry_run=True)).values
    assert plan["bytes"]["data"] == responses
    for spare, fits in ((-2, False), (2, True)):
        free = int(plan["bytes"]["total"] / memory.SPARE) + spare
        monkeypatch.setattr(memory, "free_memory", lambda device=None, free=free: free)
        for keep in ("store", "auto"):
            again = high(store, run, f"data.keep={keep}", dry_run=True)
            assert train_high_level(again).values["fits"] is fits
    averaged = train_high_level(high(store, run, "optim.ema=0.9", dry_run=True)).values["bytes"]
    assert averaged["copies"] == plan["bytes"]["copies"] + 2 * averaged["weights"]


def test_tensorboard_gets_the_numbers_of_the_log(make_store, tmp_path):
    store, run = make_store(), tmp_path / "run"
    train_high_level(high(store, run, 'loop.trackers=["tensorboard"]'))
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    logged = [line["loss"] for line in lines if "loss" in line]
    shown = [event.value for event in events.Scalars("loss")]
    np.testing.assert_allclose(shown, logged, rtol=1e-6)
    assert not [tag for kind in ("images", "tensors") for tag in events.Tags()[kind]]


def test_an_absent_tracker_is_named(make_store, tmp_path, monkeypatch):
    from mindeye_cli.train import trackers

    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(MissingResource, match=r"wandb.*mindeye\[track\]"):
        train_high_level(high(make_store(), tmp_path / "run", 'loop.trackers=["wandb"]'))


def test_a_full_disk_keeps_the_last_checkpoint(make_store, tmp_path, monkeypatch):
    store, run = make_store(), tmp_path / "run"
    plain = checkpoint.write_stream

    def full(path, write):
        def writing(stream):
            write(stream)
            if "ckpt-6" in str(path):
                raise OSError(errno.ENOSPC, "No space left on device", str(path))

        plain(path, writing)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_stream", full)
        with pytest.raises(OSError, match="No space left"):
            train_high_level(high(store, run))
    assert checkpoint.latest_step(run) == 3
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"ckpt-3", "LATEST"}
    train_high_level(high(store, run))
    train_high_level(high(store, tmp_path / "whole"))
    assert_same(weights(run), weights(tmp_path / "whole"))


def test_only_the_parts_without_draws_are_compiled(monkeypatch):
    from mindeye_cli.models.high_level import HighLevelConfig, HighLevelModel
    from mindeye_cli.models.prior import PriorConfig

    asked = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **_: asked.append(self))
    prior = PriorConfig(depth=1, heads=2, dim_head=8)
    model = HighLevelModel(
        HighLevelConfig(n_voxels=(5,), tokens=2, width=8, hidden=4, blocks=1, prior=prior)
    )
    compile_parts(model)
    assert asked == [model.backbone, model.projector, model.prior.net]


@pytest.mark.parametrize("reader", ["preload", "map", "direct", "zarr", "tensorstore"])
def test_every_reader_trains_the_same_weights(make_store, tmp_path, caplog, reader):
    if reader == "tensorstore":
        pytest.importorskip("tensorstore", reason="tensorstore is not installed")
    store = make_store()
    train_high_level(high(store, tmp_path / "auto"))
    with caplog.at_level("INFO", "mindeye"):
        train_high_level(high(store, tmp_path / reader, reader=reader))
    assert_same(weights(tmp_path / "auto"), weights(tmp_path / reader))
    where = "kept in memory" if reader == "preload" else "read from the store batch by batch"
    assert f"GB {where}, where this process may keep" in caplog.text
    assert "(as asked for)" in caplog.text
    # How rows are read is no part of what a run is.
    configs = [(tmp_path / run / "config.toml").read_text() for run in ("auto", reader)]
    assert configs[0] == configs[1]
