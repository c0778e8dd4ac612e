"""What each part of the high-level model is for: its ablations beside ridge, over several seeds.

    python benchmarks/learning.py --seeds 0,1,2

Every seed simulates a brain of its own and trains every model on it with that seed. Retrieval has
one trial a brain response and all test images in the pool; pictures come from averaged repeats, one
candidate, without a low-level picture. Prints Markdown: means with the 95 % interval over the seeds
(Student's t), and the paired differences. The commands keep what is finished under --work, so a
rerun does only what is missing; other settings need another folder.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from command import mindeye
from scipy.stats import t as student_t

SPACE = "scene-clip:tokens"
# Chosen with ridge alone, on another seed: at the calibrated noise ridge finds 95 % and leaves no
# room to compare; at half the amplitudes two thirds.
BRAIN = ("--test", 300, "--snr", 0.5)
POOL = ("--pool", 300, "--average", "none")
METRICS = ("twoway_scene_net", "twoway_scene_clip", "pixcorr")
SCORES = {
    "brain to image": "image_retrieval",
    "image to brain": "brain_retrieval",
    "`scene-net` two-way": "twoway_scene_net",
    "`scene-clip` two-way": "twoway_scene_clip",
    "PixCorr": "pixcorr",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One row of the table.

    Attributes
    ----------
    kind : str
        Of `mindeye train`.
    changes : tuple of str
        Its `--set` options.
    pictures : bool
        Whether it has an embedding that the generator can draw.
    """

    kind: str = "high-level"
    changes: tuple[str, ...] = ()
    pictures: bool = True


# As published, the backbone learns from the two losses alone.
PAPER = ("losses.regression=0",)
MODELS = {
    "ridge": Model(kind="ridge"),
    "ridge-whitened": Model(kind="ridge", changes=("whiten=true",), pictures=False),
    "joint": Model(changes=PAPER),
    "contrastive-only": Model(changes=(*PAPER, "losses.prior=0"), pictures=False),
    "prior-only": Model(changes=(*PAPER, "losses.contrastive=0")),
    "no-projector": Model(changes=(*PAPER, "model.with_projector=false")),
    "preset": Model(),
}
RETRIEVAL = ("brain to image", "image to brain")
CLAIMS = (
    ("joint", "ridge", RETRIEVAL),
    ("joint", "ridge-whitened", RETRIEVAL),
    ("joint", "contrastive-only", RETRIEVAL),
    ("joint", "prior-only", (*RETRIEVAL, "`scene-net` two-way")),
    ("joint", "no-projector", (*RETRIEVAL, "`scene-net` two-way")),
    ("preset", "joint", (*RETRIEVAL, "`scene-net` two-way")),
)

Scores = dict[str, float]


def brain(folder: Path, seed: int) -> Path:
    """The store of one simulated brain."""
    store = folder / "store.zarr"
    mindeye("simulate", folder / "nsd", "--seed", seed, *BRAIN)
    mindeye("prepare", "nsd", folder / "nsd", store, "--subject", "subj01")
    mindeye("prepare", "targets", store, "--space", SPACE)
    return store


def scores(store: Path, seed: int, name: str, images: int, extra: tuple[str, ...]) -> Scores:
    """Train one model on one brain, and score it."""
    folder, model = store.parent, MODELS[name]
    run = folder / name
    changes = [f"seed={seed}", *model.changes]
    if model.kind == "high-level":
        changes += ["loop.checkpoint_every=10", *extra]
    options = [text for change in changes for text in ("--set", change)]
    preset = ("--preset", "scene", "--subject", "subj01", "--space", SPACE)
    mindeye("train", model.kind, store, run, *preset, *options)
    saved = ("--out", folder / f"retrieval-{name}.json")
    found = mindeye("retrieve", "pool", store, run, *POOL, "--seed", seed, *saved)
    values: dict[str, float] = {
        key: found[key]["top1"] for key in ("image_retrieval", "brain_retrieval")
    }
    if model.pictures:
        out = folder / f"recon-{name}"
        drawn = ("--candidates", 1, "--limit", images, "--seed", seed)
        mindeye("reconstruct", store, out, "--high", run, *drawn)
        metrics = mindeye("evaluate", out, "--store", store, "--metrics", ",".join(METRICS))
        values |= {key: entry["value"] for key, entry in metrics["metrics"].items()}
    return {title: values[key] for title, key in SCORES.items() if key in values}


def shown(values: list[float]) -> str:
    """Mean and half-width of its 95 % interval."""
    if len(values) < 2:
        return f"{mean(values):.3f}"
    half = student_t.ppf(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return f"{mean(values):.3f} ± {half:.3f}"


def table(found: dict[str, list[Scores]]) -> str:
    """Means of every model, one row a model."""
    lines = ["| model | " + " | ".join(SCORES) + " |", "|---" * (len(SCORES) + 1) + "|"]
    for name, seeds in found.items():
        cells = [
            shown([one[title] for one in seeds]) if title in seeds[0] else "" for title in SCORES
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def differences(found: dict[str, list[Scores]]) -> str:
    """Paired differences, one row a claim, with every seed's own."""
    lines = ["| difference | score | mean | seeds |", "|---|---|---|---|"]
    for ours, other, titles in CLAIMS:
        if ours not in found or other not in found:
            continue
        for title in titles:
            pairs = zip(found[ours], found[other], strict=True)
            gaps = [a[title] - b[title] for a, b in pairs]
            each = " ".join(f"{gap:+.3f}" for gap in gaps)
            lines.append(f"| {ours} - {other} | {title} | {shown(gaps)} | {each} |")
    return "\n".join(lines)


def main() -> None:
    """Print both tables, after every seed what there is so far."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--images", type=int, default=100, help="Pictures drawn a model.")
    parser.add_argument("--set", action="append", default=[], help="For every network.")
    parser.add_argument("--work", type=Path, default=Path("learning-study"))
    options = parser.parse_args()
    found: dict[str, list[Scores]] = {name: [] for name in options.models.split(",")}
    for seed in map(int, options.seeds.split(",")):
        store = brain(options.work / f"seed-{seed}", seed)
        for name, seeds in found.items():
            seeds.append(scores(store, seed, name, options.images, tuple(options.set)))
            print(f"seed {seed}, {name}: {seeds[-1]}", file=sys.stderr, flush=True)
        print(f"\nAfter seed {seed}:\n\n{table(found)}\n\n{differences(found)}", flush=True)


if __name__ == "__main__":
    main()
