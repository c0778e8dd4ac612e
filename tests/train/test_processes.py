"""Two processes with half of each batch train as one process with the whole batch."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

RECORDER = Path(__file__).with_name("record_steps.py")
HIGH = {
    "optim.precision": "fp32",
    "optim.epochs": 10,
    "optim.batch": 32,
    "data.noise": 0.1,
    "data.repeats": "random-convex",
    "model.hidden": 16,
    "model.blocks": 1,
    "model.dropout_in": 0,
    "model.dropout": 0,
    "model.projector_hidden": 8,
    "model.prior.depth": 1,
    "model.prior.heads": 2,
    "model.prior.dim_head": 8,
    "losses.regression": 1,
    "losses.mixco_share": 0.5,
    "loop.log_every": 1,
}
LOW = {
    "optim.epochs": 5,
    "optim.batch": 16,
    "model.hidden": 16,
    "model.blocks": 1,
    "model.dropout_in": 0,
    "model.dropout": 0,
    "model.map_size": 4,
    "model.map_channels": 16,
    "model.upsampler_channels": "[16]",
    "model.norm_groups": 4,
    "model.maps_width": 16,
    "losses.teacher": "array:teacher",
    # The absolute error's gradient jumps where an error is near 0; the last bit decides the side.
    "losses.error": "mse",
    "loop.log_every": 1,
}


def arguments(kind, store, run, space, settings):
    chosen = [f"--set={key}={value}" for key, value in settings.items()]
    subject = "s1,s3" if "pair" in run.name else "s1"
    return [
        *("--quiet", "train", kind, str(store), str(run), "--subject", subject),
        *("--space", space, "--preset", "paper", *chosen),
    ]


def launch(processes, script, *given):
    launcher = [] if processes == 1 else ["-m", "torch.distributed.run", "--standalone"]
    count = [] if processes == 1 else [f"--nproc-per-node={processes}"]
    return subprocess.Popen(
        [sys.executable, *launcher, *count, *script, *map(str, given)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, build_store):
    """Losses and gradients of the same runs in one process and in two."""
    folder = tmp_path_factory.mktemp("processes")
    store = build_store(folder / "store.zarr", train=67, third=23)
    processes = {}
    for world in (1, 2):
        jobs = [
            {
                "out": str(folder / f"{name}-{world}.npz"),
                "arguments": arguments(kind, store, folder / f"{name}-{world}", space, settings),
            }
            for name, kind, space, settings in (
                ("high", "high-level", "array:tokens", HIGH),
                ("pair", "high-level", "array:tokens", HIGH | {"optim.batch": 21}),
                ("low", "low-level", "array:latent", LOW),
                ("soft", "low-level", "array:latent", LOW | {"losses.form": "softclip"}),
            )
        ]
        file = folder / f"jobs-{world}.json"
        file.write_text(json.dumps(jobs), encoding="utf-8")
        processes[world] = launch(world, [str(RECORDER)], file)
    for process in processes.values():
        _, problem = process.communicate(timeout=280)
        assert process.returncode == 0, problem
    return folder


@pytest.mark.parametrize(("name", "steps"), [("high", 20), ("pair", 40), ("low", 20), ("soft", 20)])
def test_two_processes_equal_one(recorded, name, steps):
    one, two = (np.load(recorded / f"{name}-{world}.npz") for world in (1, 2))
    assert len(one["losses"]) >= steps
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-5)
    apart = np.linalg.norm(two["gradients"] - one["gradients"], axis=1)
    assert (apart <= 1e-5 * np.linalg.norm(one["gradients"], axis=1)).all()


def test_a_launched_run_stops_saves_and_continues(recorded, tmp_path):
    """Signals reach every process through the launcher; rank 0 leaves the true exit code."""
    store, run = recorded / "store.zarr", tmp_path / "run"
    line = arguments("high-level", store, run, "array:tokens", HIGH | {"optim.epochs": 4000})
    process = launch(2, ["-m", "mindeye_cli"], *line)
    deadline = time.monotonic() + 240
    while not (run / "checkpoints" / "LATEST").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    record = json.loads((run / "exit.json").read_text())
    assert record["code"] == 75
    assert (run / "checkpoints" / f"ckpt-{record['step']}").is_dir()


def test_processes_without_a_launcher_agree_to_stop(recorded, tmp_path):
    """As `srun` starts them: `--resume never` makes a new run; the signal reaches rank 0 alone."""
    store, run = recorded / "store.zarr", tmp_path / "run"
    line = arguments("high-level", store, run, "array:tokens", HIGH | {"optim.epochs": 4000})
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-m", "mindeye_cli", *line, "--resume", "never"],
            stderr=subprocess.PIPE,
            text=True,
            env={**shared, "RANK": rank, "LOCAL_RANK": rank, "OMP_NUM_THREADS": "1"},
        )
        for rank in "01"
    ]
    deadline = time.monotonic() + 240
    while not (run / "checkpoints" / "LATEST").exists():
        assert [r.poll() for r in ranks] == [None, None], [r.communicate() for r in ranks]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    ranks[0].send_signal(signal.SIGTERM)
    problems = [process.communicate(timeout=120)[1] for process in ranks]
    assert [process.returncode for process in ranks] == [75, 75], problems
