"""Files that are not what they should be: one line that names the key, exit 3, and no RUN."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import OrderedDict

import checkpoint_helpers as helpers
import numpy as np
import pytest
import torch


@pytest.fixture
def refused(call_cli, tmp_path):
    """Import what must be refused; gives the error object."""

    def run(file, *options, code=3):
        run = tmp_path / "RUN"
        result = call_cli("checkpoint", "import", "mindeye1", file, run, "--json", *options)
        assert result.code == code, result.stdout
        assert not run.exists()
        assert result.json["error"]["code"] == code
        return result.json["error"]

    return run


@pytest.fixture
def pooled(tmp_path):
    return lambda state: helpers.save(tmp_path / "file.pth", state)


class Hostile:
    """Would make a folder if it were unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_a_pickle_that_runs_code_is_not_loaded(refused, tmp_path):
    torch.save({"model_state_dict": Hostile(tmp_path / "ran")}, tmp_path / "zip.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Hostile(tmp_path / "ran")))
    for name in ("zip.pth", "plain.pth"):
        error = refused(tmp_path / name)
        assert "plain tensors" in error["message"] and name in error["where"]
    assert not (tmp_path / "ran").exists()


def test_damaged_and_foreign_files(refused, tmp_path):
    whole = helpers.save(tmp_path / "whole.pth", helpers.pooled()).read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    assert "truncated" in refused(tmp_path / "cut.pth")["message"]
    (tmp_path / "text.pth").write_bytes(b"<html>not found</html>")
    refused(tmp_path / "text.pth")
    (tmp_path / "empty.pth").write_bytes(b"")
    refused(tmp_path / "empty.pth")
    np.savez(tmp_path / "arrays.npz", a=np.zeros(3))
    refused(tmp_path / "arrays.npz")
    torch.save([1, 2], tmp_path / "list.pth")
    assert "model_state_dict" in refused(tmp_path / "list.pth")["message"]
    torch.save({"state_dict": {"a.b": torch.zeros(1)}}, tmp_path / "other.pth")
    assert "model_state_dict" in refused(tmp_path / "other.pth")["message"]
    assert "absent" in refused(tmp_path / "none.pth", code=4)["message"]


def test_another_layout_is_refused(refused, pooled):
    error = refused(pooled(OrderedDict({"encoder.layer.weight": torch.zeros(2, 2)})))
    assert "not a published MindEye checkpoint" in error["message"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"voxel2clip.mlp.1.0.bias": None}, "voxel2clip.mlp.1.0.bias"),
        ({"net.causal_transformer.layers.1.0.null_kv": None}, "layers.1.0.null_kv"),
        ({"noise_scheduler.betas": None}, "noise_scheduler.betas"),
        ({"noise_scheduler.posterior_variance": torch.zeros(20)}, "posterior_variance"),
        ({"net.surprise": torch.zeros(1)}, "net.surprise"),
        ({"surprise": torch.zeros(1)}, "surprise"),
        ({"voxel2clip.lin1.bias": torch.zeros(49)}, "voxel2clip.lin1.bias"),
        ({"voxel2clip.lin1.bias": torch.full((48,), torch.nan)}, "voxel2clip.lin1.bias"),
        ({"voxel2clip.lin1.bias": "text"}, "voxel2clip.lin1.bias"),
    ],
)
def test_a_key_that_does_not_fit_is_named(refused, pooled, change, named):
    state = helpers.pooled() | change
    error = refused(pooled({key: value for key, value in state.items() if value is not None}))
    assert named in error["where"] and "file.pth" in error["where"]
    assert error["fix"]


def test_kind_contradicts_the_file(refused, pooled, call_cli):
    error = refused(pooled(helpers.pooled()), "--kind", "low")
    assert "high-level checkpoint" in error["message"] and "--kind high" in error["fix"]
    refused(pooled(helpers.pooled()), "--kind", "middle", code=2)


def test_attention_names_of_any_diffusers(call_cli, shared_dir, tmp_path):

    script = shared_dir / "golden" / "make_checkpoint.py"
    subprocess.run([sys.executable, script, "low", tmp_path / "old.pth"], check=True)
    old = torch.load(tmp_path / "old.pth", weights_only=True)["model_state_dict"]
    names = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
    new = {}
    for key, value in old.items():
        for before, after in names.items():
            key = key.replace(f"attentions.0.{before}.", f"attentions.0.{after}.")
        new[key] = value
    assert new.keys() != old.keys()
    written = {}
    for name, state in (("old", old), ("new", new)):
        file = helpers.save(tmp_path / f"{name}.pth", state)
        result = call_cli("checkpoint", "import", "mindeye1", file, tmp_path / name, "--json")
        assert sorted(result.json["used"]) == sorted(state)
        written[name] = (tmp_path / name / "model.safetensors").read_bytes()
    assert written["old"] == written["new"]
