"""The eight published metrics: the published script's procedure against this package's.

    python benchmarks/evaluate.py --n 982

Random weights in the places of the published ones. The procedure reads both sets again for every
metric and prepares pictures one by one; here features are shared, batch norms folded and nothing
is read twice. Both in turns, each with an empty feature cache; prints seconds a metric, medians,
the ratio with and without CLIP (the same arithmetic in both), and the peak memory of this package.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "evaluate"))

NETWORKS = ("alexnet", "inception_v3", "efficientnet_b1", "resnet50")
ROUNDS = 3


def plain(networks: dict, truth: np.ndarray, guess: np.ndarray) -> dict[str, float]:
    """Seconds of each metric by the published procedure."""
    import torch
    from skimage.color import rgb2gray
    from skimage.metrics import structural_similarity
    from torch.nn.functional import interpolate

    def first(pixels: np.ndarray) -> torch.Tensor:
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        return interpolate(x, (256, 256), mode="bilinear")

    sides = [first(p) for p in (truth, guess)]

    def large(x: torch.Tensor) -> np.ndarray:
        return interpolate(x[None], (425, 425), mode="bilinear")[0].permute(1, 2, 0).numpy()

    def pixcorr() -> None:
        for a, b in zip(*sides, strict=True):
            np.corrcoef(large(a).ravel(), large(b).ravel())

    def ssim() -> None:
        for a, b in zip(*sides, strict=True):
            structural_similarity(
                rgb2gray(large(a)),
                rgb2gray(large(b)),
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=1.0,
            )

    def network(name: str, side: int) -> Callable[[], None]:
        def run() -> None:
            rows = []
            with torch.no_grad():
                for s in sides:
                    shown = [interpolate(x[None], (side, side), mode="bilinear")[0] for x in s]
                    ready = torch.stack([(x - 0.45) / 0.225 for x in shown])
                    # The script passes all pictures at once, which a CPU's memory cannot hold.
                    parts = [networks[name](part) for part in ready.split(64)]
                    rows.append(torch.cat(parts).flatten(1).numpy())
            np.corrcoef(rows[0], rows[1])

        return run

    calls = {"pixcorr": pixcorr, "ssim": ssim}
    for name, key, side in (
        ("twoway_alexnet2", "alexnet2", 256),
        ("twoway_alexnet5", "alexnet5", 256),
        ("twoway_inception", "inception_v3", 342),
        ("corrdist_efficientnet", "efficientnet_b1", 255),
        ("corrdist_swav", "resnet50", 224),
        ("twoway_clip", "clip", 224),
    ):
        if key in networks:
            calls[name] = network(key, side)
    return {name: timed(call) for name, call in calls.items()}


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def ours(truth: np.ndarray, guess: np.ndarray, names: list[str], controls: bool) -> dict:
    """Seconds of each metric by this package, with an empty cache."""
    from mindeye_cli.evaluate.metrics import METRICS
    from mindeye_cli.evaluate.pictures import Pictures

    ids = tuple(map(str, range(len(truth))))
    with tempfile.TemporaryDirectory() as folder:
        sets = [Pictures(ids=ids, pixels=p, keep=Path(folder)) for p in (truth, guess)]
        return {n: timed(lambda n=n: METRICS[n].compute(*sets, controls)) for n in names}


def build(home: Path, clip: bool) -> dict:
    """Networks for the plain procedure, and their weights where this package looks for them."""
    import torch
    from networks import put, random_network

    networks = {}
    for name in NETWORKS:
        network = random_network(name)
        put(home, name, network)
        for head in ("fc", "classifier"):
            if hasattr(network, head):
                setattr(network, head, torch.nn.Identity())
        networks[name] = network
    alexnet = networks.pop("alexnet")
    networks |= {"alexnet2": alexnet.features[:5], "alexnet5": alexnet.features[:12]}
    if clip:
        from dataclasses import replace

        import open_clip

        from mindeye_cli.evaluate.metrics import perceptual
        from mindeye_cli.evaluate.networks import published, weights

        model = open_clip.create_model("ViT-L-14-quickgelu")
        path = home / "clip.pt"
        torch.save(model.state_dict(), path)
        found = weights._found(path)
        here = replace(published.CLIP_L14, find=lambda: found)
        judge = perceptual._node(here, "embedding", "clip")
        from mindeye_cli.evaluate import metrics

        metrics.METRICS["twoway_clip"] = perceptual.two_way_metric(judge)
        networks["clip"] = model.visual.eval()
    return networks


def main() -> None:
    """Print one line a metric, then the totals."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=982)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--clip", action="store_true", help="also CLIP ViT-L/14 (1.7 GB)")
    parser.add_argument("--controls", action="store_true", help="score all pairings here")
    parser.add_argument("--only", choices=("both", "ours"), default="both")
    options = parser.parse_args()
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 256, (options.n, 425, 425, 3), dtype=np.uint8)
    guess = draw.integers(0, 256, (options.n, 256, 256, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCH_HOME"] = folder
        networks = build(Path(folder), options.clip)
        names = ["pixcorr", "ssim", "twoway_alexnet2", "twoway_alexnet5", "twoway_inception"]
        names += ["corrdist_efficientnet", "corrdist_swav", *(["twoway_clip"] * options.clip)]
        if options.only == "ours":
            networks.clear()
        runs: tuple[list, list] = ([], [])
        for _ in range(options.rounds):
            runs[1].append(ours(truth, guess, names, options.controls))
            if options.only == "both":
                runs[0].append(plain(networks, truth, guess))
    report(options.n, names, runs)


def report(n: int, names: list[str], runs: tuple[list, list]) -> None:
    """Medians of the rounds."""
    medians = [{k: statistics.median(r[k] for r in side) for k in names} for side in runs if side]
    print(f"{n} pairs, seconds (median of {len(runs[1])})")
    for name in names:
        print(f"{name:<24}" + "".join(f"{side[name]:>10.3f}" for side in medians))
    for told, kept in (("all", names), ("without CLIP", [k for k in names if "clip" not in k])):
        totals = [sum(side[k] for k in kept) for side in medians]
        ratio = f"  ratio {totals[0] / totals[1]:.2f}" if len(totals) == 2 else ""
        print(f"{told:<24}" + "".join(f"{t:>10.3f}" for t in totals) + ratio)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak of this process {peak:.2f} GiB")


if __name__ == "__main__":
    main()
