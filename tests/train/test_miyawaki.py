"""Real responses: every pattern predicted from the other nineteen (Miyawaki et al. 2008)."""

from __future__ import annotations

import numpy as np
import pytest


def test_patterns_left_out_are_identified(shared_dir, tmp_path, call_cli):
    data, store = shared_dir / "data" / "miyawaki", tmp_path / "store.zarr"
    got = call_cli("prepare", "arrays", data, store, "--subject", "s1")
    assert got.code == 0, got.stderr
    assert call_cli("prepare", "targets", store, "--space", "pixels:28").code == 0
    train = ("train", "ridge", store)
    options = ("--subject", "s1", "--space", "pixels:28", "--cv", "image", "--json")
    plain = call_cli(*train, tmp_path / "plain", *options).json["metrics"]
    shared = call_cli(*train, tmp_path / "shared", *options, "--set", "alpha=shared").json
    assert plain["n"] == 20
    assert plain["pairwise"]["value"] >= 0.90
    assert shared["metrics"]["pairwise"]["value"] >= 0.93
    for control in (plain["pairwise"]["permuted"], shared["metrics"]["pairwise"]["permuted"]):
        assert control["permutations"] == 1000
        assert control["mean"] == pytest.approx(0.5, abs=0.01)
    saved = np.load(tmp_path / "plain" / "cross_validated.npz")
    assert saved["prediction"].shape == (20, 28 * 28 * 3)
