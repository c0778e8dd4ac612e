"""One process of a launch, the second of which is asked to stop while it draws.

    torchrun ... stopped_rank.py FOLDER WORDS...

Leaves its exit code in FOLDER, under its rank.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from mindeye_cli.app import main
from mindeye_cli.models.decoders.stable_diffusion import StableDiffusionDecoder

rank = os.environ["RANK"]
plain = StableDiffusionDecoder.generate


def generate(self, *given):
    if rank == "1":
        os.kill(os.getpid(), signal.SIGTERM)
    return plain(self, *given)


StableDiffusionDecoder.generate = generate
code = main(sys.argv[2:])
Path(sys.argv[1], rank).write_text(str(code), encoding="utf-8")
