"""Training of the built-in models resumes bit for bit after kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mindeye_cli.builtin.command import main
from mindeye_cli.builtin.loop import Loop, LoopConfig, batch_rows, learning_rate
from mindeye_store.errors import Requeue

TINY = ("--steps", "40", "--batch", "4", "--pool", "32", "--heldout", "8", "--save-seconds", "0")


def _arguments(out: Path) -> list[str]:
    return ["net", "--out", str(out), "--cache", str(out.parent / "cache"), *TINY]


def test_killed_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    main(_arguments(tmp_path / "whole"))
    killed = tmp_path / "killed"
    program = [sys.executable, "-m", "mindeye_cli.builtin", *_arguments(killed)]
    with subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not (killed / "checkpoint.pt").exists():
            assert process.poll() is None
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    step = torch.load(killed / "checkpoint.pt", weights_only=True)["step"]
    assert 0 < step < 40
    main(_arguments(killed))
    for name in ("config.json", "model.safetensors", "README.md"):
        paths = [tmp_path / run / "export" / "scene-net" / name for run in ("whole", "killed")]
        assert paths[0].read_bytes() == paths[1].read_bytes()


def _loop(folder: Path, steps: int, stop_at: int | None = None) -> Tensor:
    """Train a small linear map; optionally send this process SIGTERM at a step."""
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    config = LoopConfig(steps=steps, batch=4, lr=0.1, seed=1, warmup=2, ema=0.9, log_every=5)
    loop = Loop(model, config, folder)
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(16, 3, generator=generator)

    def loss_of(step: int) -> tuple[Tensor, dict[str, float]]:
        if step == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        rows = batch_rows(16, 4, 1, step)
        return (model(x[rows]) - x[rows].sum(1, keepdim=True)).square().mean(), {}

    loop.run(loss_of)
    loop.use_average()
    return model.weight.detach().clone()


def test_a_stop_signal_saves_and_asks_for_another_start(tmp_path: Path) -> None:
    whole = _loop(tmp_path / "whole", 20)
    with pytest.raises(Requeue, match="SIGTERM"):
        _loop(tmp_path / "stopped", 20, stop_at=8)
    assert torch.equal(_loop(tmp_path / "stopped", 20), whole)
    assert len((tmp_path / "whole" / "log.jsonl").read_text().splitlines()) == 4


def test_a_finished_training_is_left_as_it_is(tmp_path: Path) -> None:
    first = _loop(tmp_path, 10)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    assert torch.equal(_loop(tmp_path, 10), first)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_rows_visit_everything_once_an_epoch() -> None:
    seen = [int(row) for step in range(5) for row in batch_rows(20, 4, 3, step)]
    assert sorted(seen) == list(range(20))
    later = [int(row) for step in range(5, 10) for row in batch_rows(20, 4, 3, step)]
    assert sorted(later) == list(range(20)) and later != seen


def test_learning_rate_rises_stays_and_falls() -> None:
    config = LoopConfig(steps=1000, batch=1, lr=1.0, seed=0, warmup=100)
    rates = [learning_rate(config, step) for step in range(1001)]
    assert rates[0] == pytest.approx(0.01) and rates[99] == pytest.approx(1.0)
    assert set(rates[99:500]) == {1.0}
    assert all(a >= b for a, b in zip(rates[500:], rates[501:], strict=False))
    assert rates[-1] == pytest.approx(0.01)
