"""Speed of the high-level training step: against the documented algorithm, and against the device.

    python benchmarks/train_step.py                    # with a GPU: `paper`, batch 32, bf16
    python benchmarks/train_step.py --device cpu       # against the transcription, one thread
    python benchmarks/train_step.py --device cpu --small --json

On a CPU the package and a plain transcription (`benchmarks/transcription/`) take turns, each in a
process of its own: whole steps, then attention (position bias and all layers, forward and
backward), optimiser and loader alone. Medians of the rounds are printed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import torch
from floors import floors
from ours import DTYPES, SAVES
from transcription.losses import Transcription
from transcription.sizes import Sizes
from worker import PARTS, Settings, Worker, write_data

PAPER = Sizes()
# The paper's width over 8, its tokens over 4, its hidden width kept, one block. Weights a token of
# the sequence are 49 thousand (paper: 61), the last layer holds .50 of them (paper: .81). The width
# makes a step's products cheap enough for one core, which does about 3 operations per byte of
# memory traffic where the GPUs of the paper do over 100; at the paper's own width a CPU's step
# would be nearly all matrix products, which both sides share.
SCALED = Sizes(
    batch=8,
    voxels=1966,
    hidden=4096,
    blocks=1,
    tokens=65,
    width=96,
    projector_hidden=256,
    heads=3,
    dim_head=32,
)
SMALL = Sizes(
    batch=4,
    voxels=40,
    hidden=64,
    blocks=1,
    tokens=5,
    width=16,
    projector_hidden=24,
    depth=2,
    heads=2,
    dim_head=8,
    rotary=4,
)
IMAGES = (8559, 8859)  # of subject 1: without and with the published validation images
EPOCHS = 240


def measure(sizes: Sizes, settings: Settings, sides: list[str], rounds: int) -> dict[str, Any]:
    """Milliseconds of steps and parts of every side, its peak memory, and the floors."""
    with tempfile.TemporaryDirectory() as folder:
        write_data(Path(folder), sizes, images=max(64, 2 * sizes.batch))
        workers = {side: Worker(side, sizes, settings, Path(folder)) for side in sides}
        try:
            found: dict[str, Any] = {side: {} for side in sides}
            for part in PARTS:
                times: dict[str, list[float]] = {side: [] for side in sides}
                for _ in range(rounds + 2):
                    for side, worker in workers.items():
                        times[side].append(worker.ask(part))
                for side in sides:
                    found[side][f"{part}_ms"] = 1e3 * median(times[side][2:])
            for side, worker in workers.items():
                found[side]["peak_gb"] = worker.ask("peak")
        finally:
            for worker in workers.values():
                worker.close()
    for values in found.values():
        values["steps_per_s"] = 1e3 / values["step_ms"]
    return found


def report(sizes: Sizes, settings: Settings, found: dict[str, Any]) -> dict[str, Any]:
    """Everything that is printed, as one object."""
    with torch.device("meta"):
        parameters = sum(p.numel() for p in Transcription(sizes).parameters())
    ours = found["ours"]
    device = torch.device(settings.device)
    limits = floors(sizes, parameters, device, DTYPES[settings.precision])
    hours = {
        str(images): EPOCHS * -(-images // sizes.batch) * ours["step_ms"] / 3.6e6
        for images in IMAGES
    }
    result: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu, one thread",
        "torch": torch.__version__,
        **asdict(settings),
        "sizes": asdict(sizes),
        "parameters": parameters,
        "weights_per_token": parameters / (sizes.batch * sizes.sequence),
        "last_layer_share": sizes.hidden * sizes.tokens * sizes.width / parameters,
        **found,
        "wait_share": ours["loader_ms"] / ours["step_ms"],
        "floors": limits,
        "compute_floor_share": limits["compute_ms"] / ours["step_ms"],
        "memory_floor_share": limits["memory_ms"] / ours["step_ms"],
        "hours": hours,
        "hours_with_saves": {images: value / (1 - SAVES) for images, value in hours.items()},
    }
    if "transcription" in found:
        theirs = found["transcription"]
        result["ratio"] = {part: theirs[f"{part}_ms"] / ours[f"{part}_ms"] for part in PARTS}
    return result


def show(result: dict[str, Any]) -> None:
    """Print the result for people."""
    sizes, limits = result["sizes"], result["floors"]
    print(f"{result['device']}, torch {result['torch']}, {result['precision']}")
    print(", ".join(f"{name} {value}" for name, value in sizes.items()))
    print(
        f"{result['parameters'] / 1e6:.1f} M weights, {result['weights_per_token'] / 1e3:.1f} "
        f"thousand a token of the prior's sequence, {result['last_layer_share']:.2f} of them in "
        "the last linear layer"
    )
    sides = [side for side in ("ours", "transcription") if side in result]
    print(f"{'':<12}" + "".join(f"{side + ', ms':>20}" for side in sides) + f"{'ratio':>8}")
    for part in PARTS:
        row = "".join(f"{result[side][part + '_ms']:>20.2f}" for side in sides)
        ratio = f"{result['ratio'][part]:>8.2f}" if "ratio" in result else ""
        print(f"{part:<12}{row}{ratio}")
    for side in sides:
        values = result[side]
        print(f"{side}: {values['steps_per_s']:.2f} steps/s, peak {values['peak_gb']:.2f} GB")
    print(f"waiting for data: {result['wait_share']:.2%} of a step")
    print(
        f"floors: {limits['memory_ms']:.1f} ms for {limits['gb']:.2f} GB of weights, gradients and "
        f"moments at {limits['copy_gb_per_s']:.0f} GB/s ({result['memory_floor_share']:.2f} of a "
        f"step); {limits['compute_ms']:.1f} ms for {limits['gflop']:.1f} GFLOP at "
        f"{limits['matmul_gflop_per_s']:.0f} GFLOP/s ({result['compute_floor_share']:.2f})"
    )
    hours = ", ".join(f"{value:.2f} for {images}" for images, value in result["hours"].items())
    print(f"{EPOCHS} epochs at these sizes, hours by number of images: {hours}")
    saves = ", ".join(f"{v:.2f} for {n}" for n, v in result["hours_with_saves"].items())
    print(f"with checkpoints, which take at most {SAVES:.0%} of the time: {saves}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    there = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=["cpu", "cuda"], default=there)
    parser.add_argument("--precision", choices=list(DTYPES), help="Default: bf16 on cuda.")
    parser.add_argument("--compile", action="store_true", help="torch.compile the networks.")
    parser.add_argument(
        "--checkpointing", action="store_true", help="Compute activations twice, in less memory."
    )
    parser.add_argument("--alone", action="store_true", help="No transcription (so on cuda).")
    parser.add_argument("--small", action="store_true", help="Tiny sizes, to try the script.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="One JSON object.")
    options = parser.parse_args()
    on_cpu = options.device == "cpu"
    settings = Settings(
        device=options.device,
        precision=options.precision or ("fp32" if on_cpu else "bf16"),
        compile=options.compile,
        checkpointing=options.checkpointing,
    )
    torch.set_num_threads(1)
    sizes = SMALL if options.small else SCALED if on_cpu else PAPER
    sides = ["ours", "transcription"] if on_cpu and not options.alone else ["ours"]
    result = report(sizes, settings, measure(sizes, settings, sides, options.rounds))
    if options.json:
        print(json.dumps(result))
    else:
        show(result)


if __name__ == "__main__":
    main()
