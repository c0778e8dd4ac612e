"""The speed benchmark prints what it promises; nothing here asserts a time."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "train_step.py"


def run(*arguments):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--device", "cpu", "--small", "--rounds", "1", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_json_has_both_sides_ratios_and_floors():
    result = json.loads(run("--json"))
    for side in ("ours", "transcription"):
        assert {"step_ms", "attention_ms", "optimizer_ms", "loader_ms"} < result[side].keys()
        assert result[side]["peak_gb"] > 0
    for part, ratio in result["ratio"].items():
        theirs, ours = (result[side][f"{part}_ms"] for side in ("transcription", "ours"))
        assert ratio == pytest.approx(theirs / ours)
    assert result["sizes"]["batch"] == 4
    assert set(result["hours"]) == {"8559", "8859"}
    assert result["floors"]["gb"] == pytest.approx(32e-9 * result["parameters"])
    assert 0 < result["wait_share"]


def test_other_precision_alone():
    text = run("--alone", "--precision", "bf16")
    assert "transcription" not in text
    assert "hours by number of images" in text


def test_operations_of_the_paper_model_by_hand(monkeypatch):
    floors = importlib.import_module("floors")
    sizes = importlib.import_module("train_step").PAPER
    b, n, w = sizes.batch, sizes.sequence, sizes.width
    backbone = sizes.voxels * 4096 + 4 * 4096**2 + 4096 * sizes.tokens * w
    projector = sizes.tokens * (2 * w * 2048 + 2048**2)
    layer = 2 * w * w + 128 * w + 3 * 4 * w * w
    prior = n * (6 * layer + w * w) + 6 * 2 * n * (n + 1) * w + 2 * (2 * w * w) + 4 * w * w
    products = b * (backbone + projector + prior)
    # Two operations a product, once forward and twice backward; the voxels ask for no gradient,
    # and the losses' products of 32 rows are small.
    expected = 2 * (3 * products - b * sizes.voxels * 4096)
    assert floors.operations(sizes) == pytest.approx(expected, rel=2e-3)


def test_parameters_of_the_paper_sizes():
    losses = importlib.import_module("transcription.losses")
    sizes = importlib.import_module("train_step").PAPER
    with torch.device("meta"):
        model = losses.Transcription(sizes)
    assert sum(p.numel() for p in model.parameters()) == 1_003_635_072
