"""The eight published metrics: the published script's procedure against this package's.

    python benchmarks/evaluate.py --n 982

Random weights in the places of the published ones. The procedure passes both sets through a
network again for every metric and prepares pictures one by one; here features are shared, batch
norms folded and nothing is read twice. In turns: the procedure, this package with an empty feature
cache, and this package on another system's pictures of the same images (whose features are kept).
Prints seconds a metric, medians, both ratios with and without CLIP, and the peak memory. Runs on
the first GPU if there is one; `CUDA_VISIBLE_DEVICES=` keeps it on the processor.
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


def plain(networks: dict, truth: np.ndarray, guess: np.ndarray, at_once: int) -> dict[str, float]:
    """Seconds of each metric by the published procedure."""
    import torch
    from skimage.color import rgb2gray
    from skimage.metrics import structural_similarity
    from torch.nn.functional import interpolate

    from mindeye_cli.models.running import pick_device

    device = pick_device()

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
                    model = networks[name].to(device)
                    parts = [model(part.to(device)) for part in ready.split(at_once)]
                    rows.append(torch.cat(parts).flatten(1).cpu().numpy())
            np.corrcoef(rows[0], rows[1])

        return run

    calls = {"pixcorr": pixcorr, "ssim": ssim}
    for name, key, side in (
        # The script's extractor runs to its last node, whichever of the two is asked for.
        ("twoway_alexnet2", "alexnet", 256),
        ("twoway_alexnet5", "alexnet", 256),
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


def ours(truth: np.ndarray, guesses: list[np.ndarray], names: list[str], controls: bool) -> list:
    """Seconds of each metric by this package, for one system after the other.

    The first begins with an empty cache; the others find the true images' features in it.
    """
    from mindeye_cli.evaluate.metrics import METRICS
    from mindeye_cli.evaluate.pictures import Pictures

    ids = tuple(map(str, range(len(truth))))
    with tempfile.TemporaryDirectory() as folder:
        seconds = []
        for guess in guesses:
            sets = [Pictures(ids=ids, pixels=p, keep=Path(folder)) for p in (truth, guess)]
            seconds.append(
                {n: timed(lambda n=n, s=sets: METRICS[n].compute(*s, controls)) for n in names}
            )
        return seconds


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
    networks["alexnet"] = alexnet.features[:12]
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
    parser.add_argument(
        "--at-once",
        type=int,
        default=64,
        help="pictures that the procedure passes at once (the published script: all, 30 GB at 982)",
    )
    options = parser.parse_args()
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 256, (options.n, 425, 425, 3), dtype=np.uint8)
    guesses = list(draw.integers(0, 256, (2, options.n, 256, 256, 3), dtype=np.uint8))
    runs: dict[str, list] = {"procedure": [], "here": [], "another system": []}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCH_HOME"] = folder
        networks = build(Path(folder), options.clip)
        names = ["pixcorr", "ssim", "twoway_alexnet2", "twoway_alexnet5", "twoway_inception"]
        names += ["corrdist_efficientnet", "corrdist_swav", *(["twoway_clip"] * options.clip)]
        if options.only == "ours":
            networks.clear()
            del runs["procedure"]
        for _ in range(options.rounds):
            cold, again = ours(truth, guesses, names, options.controls)
            runs["here"].append(cold)
            runs["another system"].append(again)
            if options.only == "both":
                runs["procedure"].append(plain(networks, truth, guesses[0], options.at_once))
    report(options.n, names, runs)


def report(n: int, names: list[str], runs: dict[str, list]) -> None:
    """Medians of the rounds."""
    medians = {
        side: {k: statistics.median(r[k] for r in rounds) for k in names}
        for side, rounds in runs.items()
    }
    print(f"{n} pairs, seconds (median of {len(runs['here'])})")
    print(f"{'':<24}" + "".join(f"{side:>16}" for side in medians))
    for name in names:
        print(f"{name:<24}" + "".join(f"{side[name]:>16.3f}" for side in medians.values()))
    for told, kept in (("all", names), ("without CLIP", [k for k in names if "clip" not in k])):
        totals = {side: sum(m[k] for k in kept) for side, m in medians.items()}
        print(f"{told:<24}" + "".join(f"{t:>16.3f}" for t in totals.values()))
        if "procedure" in totals:
            ratios = [f"{totals['procedure'] / t:>15.2f}x" for t in totals.values()]
            print(f"{'  faster':<24}" + "".join(ratios))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak of this process {peak:.2f} GiB")


if __name__ == "__main__":
    main()
