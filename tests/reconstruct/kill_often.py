"""Runs one command again and again, killing it at random moments, until it ends by itself.

    python kill_often.py JOB.json

JOB: `arguments` of `mindeye`, `out`, `longest` seconds before a kill, most `kills`, `seed`.
Children are forked, so that only the first pays for the imports. Prints JSON: `kills`, `code`, and
`written`, every file that was put in its place under `out`, in order, over all children.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from mindeye_cli.app import main
from mindeye_cli.models.encoders import load_encoder
from mindeye_cli.reconstruct import run, save, setting, stage_files

job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
out, log = Path(job["out"]), Path(sys.argv[1] + ".log")


def logging_to_file(function):
    def wrapped(path, *given):
        function(path, *given)
        with log.open("a", encoding="utf-8") as stream:
            stream.write(f"{Path(path).relative_to(out)}\n")

    return wrapped


for module, name in ((save, "write_bytes"), (run, "write_json")):
    setattr(module, name, logging_to_file(getattr(module, name)))
run.draw.write_batch = logging_to_file(stage_files.write_batch)
setting.pictures_a_batch = lambda files: 4
load_encoder("scene-clip:tokens")  # what every child would import

draw, kills, code = random.Random(job["seed"]), 0, None
while code is None:
    child = os.fork()
    if child == 0:
        sys.stdout = sys.stderr
        os._exit(main(job["arguments"]))
    deadline = time.monotonic() + draw.uniform(0.0, job["longest"])
    ended, status = os.waitpid(child, os.WNOHANG)
    while not ended and time.monotonic() < deadline:
        time.sleep(0.005)
        ended, status = os.waitpid(child, os.WNOHANG)
    if not ended and kills < job["kills"]:
        os.kill(child, signal.SIGKILL)
        kills += 1
    if not ended:
        _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        code = os.WEXITSTATUS(status)
found = {"kills": kills, "code": code, "written": log.read_text().splitlines()}
sys.stdout.write(json.dumps(found))
