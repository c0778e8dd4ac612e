"""Train like the command and record every step's losses and gradient: one process of a launch.

Usage: python record_steps.py JOBS.json, a list of {"out": "FILE.npz", "arguments": [...]}.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import torch

from mindeye_cli.app import main as run_command
from mindeye_cli.train import loop
from mindeye_cli.train.engine import Engine


def record(out: str, arguments: list[str]) -> int:
    losses, gradients = [], []
    plain_step, plain_log = Engine.step, loop._Worker._log

    def step(self, optimizer, model, clip):
        assert self.world == int(os.environ.get("WORLD_SIZE", "1"))
        flat = torch.cat([p.grad.flatten() for p in model.parameters()])
        gradients.append(flat.double().numpy().copy())
        plain_step(self, optimizer, model, clip)

    def log(self, moment, **values):
        if "loss" in values:
            losses.append(np.array([values[name] for name in sorted(values) if name != "lr"]))
        plain_log(self, moment, **values)

    Engine.step, loop._Worker._log = step, log
    code = run_command(arguments)
    Engine.step, loop._Worker._log = plain_step, plain_log
    if code == 0 and int(os.environ.get("RANK", "0")) == 0:
        np.savez(out, losses=np.stack(losses), gradients=np.stack(gradients))
    return code


if __name__ == "__main__":
    jobs = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.exit(max(record(job["out"], job["arguments"]) for job in jobs))
