"""The commands: exit codes, `exit.json`, JSON keys, and a stop signal to the real process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

SMALL = [
    "--set=optim.batch=8",
    "--set=model.hidden=16",
    "--set=model.blocks=1",
    "--set=model.projector_hidden=8",
    "--set=losses.prior=0",
]


def arguments(store, run, *more, space="array:tokens", kind="high-level"):
    return ["train", kind, store, run, "--subject", "s1", "--space", space, *more]


def test_json_keys_and_exit_record(make_store, tmp_path, call_cli):
    store, run = make_store(), tmp_path / "run"
    plan = call_cli(*arguments(store, run, *SMALL, "--dry-run", "--json", "--preset=scene"))
    assert plan.code == 0, plan.stderr
    assert plan.json["parameters"] > 0
    assert not run.exists()
    more = (*SMALL, "--set=optim.epochs=2", "--preset=scene", "--json")
    done = call_cli(*arguments(store, run, *more))
    assert done.code == 0, done.stderr
    assert done.json["command"] == "train high-level"
    assert {"steps", "seconds", "metrics", "checkpoint", "status", "outputs"} <= done.json.keys()
    assert json.loads((run / "exit.json").read_text()) == {
        "code": 0,
        "reason": "finished",
        "step": done.json["steps"],
    }
    assert call_cli(*arguments(store, run, *more)).json["status"] == "notneeded"


def test_ridge_table_for_people(make_store, tmp_path, call_cli):
    run = tmp_path / "run"
    more = ("--cv", "image", "--preset", "paper")
    done = call_cli(*arguments(make_store(), run, *more, space="array:vector", kind="ridge"))
    assert done.code == 0, done.stderr
    assert done.stdout.splitlines() == [str(run)]
    assert "pairwise.permuted.mean" in done.stderr
    assert 'cv = "image"' in (run / "config.toml").read_text()


def test_exit_codes(make_store, tmp_path, call_cli):
    store, run = make_store(), tmp_path / "run"
    cases = {
        2: [
            arguments(store, run, "--resume", "sometimes"),
            arguments(store, run, "--reader", "fast"),
            arguments(store, run, "--set", "optim.lrr=1"),
        ],
        3: [arguments(store, run, space="array:latent", kind="high-level")],
        4: [
            arguments(store, run, space="scene-clip:tokens"),
            arguments(tmp_path / "absent.zarr", run),
        ],
    }
    for code, lines in cases.items():
        for line in lines:
            got = call_cli(*line)
            assert got.code == code, (line, got.stderr)
            assert len(got.stderr.splitlines()) == 1
    assert not run.exists()


def test_ridge_refuses_a_launcher(make_store, tmp_path, call_cli, monkeypatch):
    store, run = make_store(), tmp_path / "run"
    monkeypatch.setenv("WORLD_SIZE", "2")
    got = call_cli(*arguments(store, run, "--preset=paper", space="array:vector", kind="ridge"))
    assert got.code == 2
    assert "one process (WORLD_SIZE)" in got.stderr
    assert not run.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM])
def test_stop_signal_saves_and_asks_for_requeue(make_store, tmp_path, call_cli, number):
    store, run = make_store(), tmp_path / "run"
    line = arguments(store, run, *SMALL, "--set=optim.epochs=100000", "--preset=scene")
    command = [sys.executable, "-m", "mindeye_cli", *map(str, line), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while not (run / "checkpoints" / "LATEST").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 75
    assert json.loads(out)["error"]["code"] == 75
    record = json.loads((run / "exit.json").read_text())
    assert record["code"] == 75
    assert "SIGTERM" in record["reason"]
    assert (run / "checkpoints" / f"ckpt-{record['step']}").is_dir()
    got = call_cli("predict", run, "--store", store, "--out", tmp_path / "y.npz")
    assert got.code == 4
    assert "not finished" in got.stderr
