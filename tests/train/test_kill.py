"""`kill -9` at random moments, then the same command: the weights of an uninterrupted run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

SCRIPT = Path(__file__).with_name("kill_at_random.py")
HIGH = (
    "optim.epochs=30",
    "optim.batch=8",
    "optim.ema=0.9",
    "loop.select=best",
    "loop.validate_every=1",
    "model.hidden=16",
    "model.blocks=1",
    "model.projector_hidden=8",
    "model.prior.depth=1",
    "model.prior.heads=2",
    "model.prior.dim_head=8",
    "loop.threads=1",
)


@pytest.mark.parametrize(
    ("kind", "kills", "overrides"), [("high-level", 5, HIGH), ("ridge", 2, ("cv=image",))]
)
def test_killed_at_random_moments(make_store, tmp_path, kind, kills, overrides):
    store, run = make_store(), tmp_path / "cut"
    done = subprocess.run(
        [sys.executable, SCRIPT, store, run, str(kills), kind, *overrides],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 1
    whole = load_file(tmp_path / "probe" / "model.safetensors")
    cut = load_file(run / "model.safetensors")
    assert whole.keys() == cut.keys()
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    left = {entry.name for entry in run.iterdir()}
    assert not any(".tmp-" in name for name in left), left
