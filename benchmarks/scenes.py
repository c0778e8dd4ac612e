"""How many scenes a second one core draws: `python benchmarks/scenes.py`. Demanded: 300."""

from __future__ import annotations

import time

from mindeye_cli.core.scenes import render, sample_scene

COUNT = 2000


def main() -> None:
    """Draw scenes and print the rate."""
    started = time.process_time()
    for seed in range(COUNT):
        render(sample_scene(seed))
    print(f"{COUNT / (time.process_time() - started):.0f} scenes a CPU-second")


if __name__ == "__main__":
    main()
