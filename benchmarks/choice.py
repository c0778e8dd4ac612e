"""What choosing among candidates gains, and that the brain's embedding is what gains it.

    python benchmarks/choice.py --seeds 0,1,2
    python benchmarks/choice.py --test 300 --images 200 --steps 8 --prior-steps 20

For each seed a brain is simulated, both models are trained with the preset `scene`, and every image
gets 16 candidates. `chosen` is the candidate nearest to the brain's embedding, `random` the mean
over all candidates, `permuted` the candidate nearest to the embedding of another image's response,
the mean over all other images. `rank` is Spearman's correlation, among one image's candidates, of
the cosine that chooses with the score. Prints Markdown: means over all images of all seeds, gains
over a random candidate with their 95 % interval (bootstrap over images), and each seed's own. The
scores are `scene-net`'s and `scene-clip`'s; nothing is chosen by them. Fewer steps give more images
in the same time. `--stores` with `--runs` reuses what is there; a rerun with the same --work does
only what is missing.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from command import mindeye
from numpy.typing import NDArray
from scipy.stats import rankdata

from mindeye_cli.core.stats import mean_interval
from mindeye_cli.core.trials import average_voxels
from mindeye_cli.evaluate.features import scene_clip, scene_net
from mindeye_cli.evaluate.pictures import Pictures
from mindeye_cli.models.encoders import load_encoder
from mindeye_cli.models.run_model import load_run
from mindeye_cli.reconstruct.save import read_png
from mindeye_store import open_store

SPACES = {"high": "scene-clip:tokens", "low": "scene-vae"}
WAYS = ("chosen", "random", "permuted")
Floats = NDArray[np.float64]


def study(folder: Path, seed: int, brain: tuple[Any, ...], changes: list[str]) -> tuple[Path, Path]:
    """Store and runs of one simulated brain."""
    store, runs = folder / "store.zarr", folder / "runs"
    mindeye("simulate", folder / "nsd", "--seed", seed, *brain)
    mindeye("prepare", "nsd", folder / "nsd", store, "--subject", "subj01")
    for level, space in SPACES.items():
        mindeye("prepare", "targets", store, "--space", space)
        options = [word for text in (f"seed={seed}", *changes) for word in ("--set", text)]
        run = ("train", f"{level}-level", store, runs / level, "--space", space)
        mindeye(*run, "--subject", "subj01", "--preset", "scene", *options)
    return store, runs


def candidates(out: Path) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """The manifest, and all candidates, uint8 (N, K, H, W, 3)."""
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    rows = [
        [read_png(out / "candidates" / line["name"] / f"{k:02d}.png") for k in range(len(seeds))]
        for line in manifest["images"]
        for seeds in [line["seeds"]]
    ]
    return manifest, np.asarray(rows, dtype=np.uint8)


def scores(true: Pictures, pixels: NDArray[np.uint8]) -> dict[str, Floats]:
    """Scores of every candidate, float64 (N, K), compared with all the other images' truths."""
    n, k = pixels.shape[:2]
    made = Pictures(
        ids=tuple(f"{i}-{j}" for i in range(n) for j in range(k)),
        pixels=pixels.reshape(n * k, *pixels.shape[2:]),
    )
    real, seen = scene_net(true), scene_net(made)
    likeness = _correlations(seen.features, real.features).reshape(n, k, n)
    own = likeness[np.arange(n), :, np.arange(n)]
    beaten = (own[:, :, None] > likeness).sum(axis=2) / (n - 1)
    clip = _unit(scene_clip(made)).reshape(n, k, -1)
    right = [
        getattr(seen, name).reshape(n, k) == getattr(real, name)[:, None]
        for name in ("category", "colour")
    ]
    return {
        "`scene-net` two-way": beaten,
        "category": right[0].astype(np.float64),
        "colour": right[1].astype(np.float64),
        "`scene-clip` cosine": np.einsum("nkd,nd->nk", clip, _unit(scene_clip(true))),
    }


def cosines(pixels: NDArray[np.uint8], brain: NDArray[np.float32], space: str) -> Floats:
    """Cosine of every candidate with every response's embedding, (N, K, N)."""
    n, k = pixels.shape[:2]
    made = load_encoder(space).encode(pixels.reshape(n * k, *pixels.shape[2:]))
    pair = (_unit(x.reshape(len(x), -1).astype(np.float64)) for x in (made, brain))
    return np.asarray(next(pair) @ next(pair).T).reshape(n, k, n)


def within(cosine: Floats, values: Floats) -> Floats:
    """Spearman's correlation of two scores among each image's candidates, (N, K) to (N,).

    0 where all candidates score the same: the choice can do nothing there.
    """
    a, b = (rankdata(x, axis=1) for x in (cosine, values))
    a, b = (x - x.mean(axis=1, keepdims=True) for x in (a, b))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray((a * b).sum(axis=1) / np.where(lengths > 0, lengths, 1.0))


def measure(store_path: Path, runs: Path, out: Path, options: Any) -> dict[str, dict[str, Floats]]:
    """Of every score and image: by the way a candidate is taken, and the rank correlation."""
    given = ("--high", runs / "high", "--low", runs / "low", "--keep-candidates")
    counts = ("--candidates", options.candidates, "--limit", options.images)
    steps = () if options.steps is None else ("--steps", options.steps)
    if options.prior_steps is not None:
        steps = (*steps, "--set", f"prior.steps={options.prior_steps}")
    mindeye("reconstruct", store_path, out, *given, *counts, *steps)
    manifest, pixels = candidates(out)
    store, rows = open_store(store_path), np.asarray(manifest["image_rows"])
    true = Pictures(ids=tuple(manifest["ids"]), pixels=store.images.read(rows))
    found = scores(true, pixels)
    chosen = np.array([line["chosen"] for line in manifest["images"]])
    run = load_run(runs / "high")
    voxels, test = average_voxels(store.subject(run.subject), "test")
    brain = run.predict(voxels[np.searchsorted(test, rows)], outputs=("retrieval",))["retrieval"]
    cosine, every = cosines(pixels, brain, run.space), np.arange(len(rows))
    others = cosine.argmax(axis=1)  # (N, N): image, whose response
    foreign = ~np.eye(len(rows), dtype=bool)
    return {
        name: {
            "chosen": values[every, chosen],
            "random": values.mean(axis=1),
            "permuted": np.where(foreign, values[every[:, None], others], 0).sum(axis=1)
            / (len(rows) - 1),
            "rank": within(cosine[every, :, every], values),
        }
        for name, values in found.items()
    }


def table(seeds: list[dict[str, dict[str, Floats]]]) -> str:
    """Means over all images, gains with their intervals, and each seed's."""
    titles = ("score", *WAYS, "gain", "gain, permuted", "rank")
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for name in seeds[0]:
        one = [seed[name] for seed in seeds]
        cells = [f"{np.concatenate([s[way] for s in one]).mean():.3f}" for way in WAYS]
        for gains in (
            [s["chosen"] - s["random"] for s in one],
            [s["permuted"] - s["random"] for s in one],
            [s["rank"] for s in one],
        ):
            cells.append(_told(gains))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _told(seeds: list[Floats]) -> str:
    """Mean, 95 % interval, and each seed's mean in brackets."""
    values = np.concatenate(seeds)
    low, high = mean_interval(values, np.arange(len(values)), seed=0)
    own = " ".join(f"{seed.mean():+.3f}" for seed in seeds)
    return f"{values.mean():+.3f}, {low:+.3f} to {high:+.3f} ({own})"


def _unit(x: Floats) -> Floats:
    return np.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True))


def _correlations(a: Floats, b: Floats) -> Floats:
    a, b = (_unit(x - x.mean(axis=1, keepdims=True)) for x in (a, b))
    return np.asarray(a @ b.T)


def main() -> None:
    """Print the table after every seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--work", type=Path, default=Path("choice-study"))
    parser.add_argument("--stores", nargs="*", type=Path, help="One a seed, with --runs.")
    parser.add_argument("--runs", nargs="*", type=Path, help="Folders with high/ and low/.")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--candidates", type=int, default=16)
    parser.add_argument("--steps", type=int, help="Of the generator; its own by default.")
    parser.add_argument("--prior-steps", type=int, help="All of its schedule by default.")
    parser.add_argument("--test", type=int, default=100, help="Test images that are simulated.")
    parser.add_argument("--set", action="append", default=[], help="For both networks.")
    options = parser.parse_args()
    found = []
    for place, seed in enumerate(map(int, options.seeds.split(","))):
        folder = options.work / f"seed-{seed}"
        if options.stores:
            store, runs = options.stores[place], options.runs[place]
        else:
            store, runs = study(folder, seed, ("--test", options.test), options.set)
        found.append(measure(store, runs, folder / "recon", options))
        print(f"\nAfter seed {seed}:\n\n{table(found)}", flush=True)


if __name__ == "__main__":
    main()
