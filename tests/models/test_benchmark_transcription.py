"""The speed benchmark's baseline computes what the published code computes."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_transcription_gives_the_published_outputs(monkeypatch, published_state, golden, drawn):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    ours = importlib.import_module("ours")
    losses = importlib.import_module("transcription.losses")
    state = published_state("high")
    sizes = ours.sizes_of(state)
    model = losses.Transcription(sizes).eval()
    model.load_state_dict(state, strict=True)
    keep = torch.ones(3, dtype=torch.bool)
    with torch.no_grad():
        tokens, retrieval = model.voxel2clip(drawn("voxels", (3, 60)))
        times = torch.tensor([0, 37, 99])
        clean = model.net(drawn("noisy", (3, 5, 768)), times, tokens, keep, keep)
    for name, value in (("backbone", tokens), ("projector", retrieval), ("prior_x0", clean)):
        error = np.abs(value.numpy() - golden[name]).max() / np.abs(golden[name]).max()
        assert error < 1e-4, name
