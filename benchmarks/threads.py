"""Seconds and CPU-seconds of every stage of the demo, by its number of threads.

    python benchmarks/threads.py [--full]

Run it on an idle machine: the thread counts in `mindeye_cli/demo/stages.py` are chosen from it.
Stages run one after the other, so that none is slowed down by a neighbour.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from mindeye_cli.demo.runner import Done, Runner
from mindeye_cli.demo.stages import FAST, FULL, Size, stages


def measure(size: Size, threads: int) -> dict[str, Done]:
    """Run the demo with this many threads for every stage."""
    with tempfile.TemporaryDirectory() as folder:
        graph = [replace(stage, threads=threads) for stage in stages(Path(folder), 0, size)]
        return Runner(Path(folder, "logs"), cores=threads).run(tuple(graph))


def main() -> None:
    """Print one line a stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="The demo's own size.")
    size = FULL if parser.parse_args().full else FAST
    counts = range(1, (os.cpu_count() or 1) + 1)
    found = {threads: measure(size, threads) for threads in counts}
    print(f"{'stage':<30}" + "".join(f"{f'{n} threads: s':>14}{'CPU-s':>8}" for n in counts))
    for name in found[1]:
        row = "".join(
            f"{found[n][name].seconds:>14.1f}{found[n][name].cpu_seconds:>8.1f}" for n in counts
        )
        print(f"{name:<30}{row}")


if __name__ == "__main__":
    main()
