"""Does pretraining on three simulated subjects help a fourth one with a single session?

    python benchmarks/subjects.py --seeds 0,1,2

For both trunks: subject 4 alone on its first session, against the trunk of subjects 1, 2 and 3
fine-tuned on that session (MindEye2's protocol). Retrieval with one trial a brain response and all
100 test images in the pool. Prints Markdown, means over seeds and every seed's difference.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import mean

from command import mindeye

SPACE = "scene-clip:tokens"
OTHERS = ("subj01", "subj02", "subj03")
NEW = "subj04"
TRUNKS = {
    "residual": ("model.trunk=residual",),
    "affine": ("model.trunk=affine", "model.hidden=256"),
}
DIRECTIONS = ("image_retrieval", "brain_retrieval")
Scores = dict[str, float]


def train(store: Path, run: Path, subjects: str, *changes: str) -> None:
    """Train one high-level run."""
    options = [text for change in changes for text in ("--set", change)]
    where = ("--subject", subjects, "--space", SPACE, "--preset", "scene")
    mindeye("train", "high-level", store, run, *where, *options)


def top1(store: Path, run: Path) -> Scores:
    """Top-1 of the new subject's single trials, both directions."""
    found = mindeye("retrieve", "pool", store, run, "--pool", 100, "--average", "none")
    return {direction: found[direction]["top1"] for direction in DIRECTIONS}


def one_seed(folder: Path, seed: int, epochs: int) -> dict[str, Scores]:
    """All four runs of one seed."""
    store = folder / "store.zarr"
    mindeye("simulate", folder / "nsd", "--subjects", "1,2,3,4", "--seed", seed, "--snr", 0.7)
    for subject in (*OTHERS, NEW):
        mindeye("prepare", "nsd", folder / "nsd", store, "--subject", subject)
    mindeye("prepare", "targets", store, "--space", SPACE)
    scores = {}
    for name, trunk in TRUNKS.items():
        common = (f"seed={seed}", *trunk)
        first = folder / f"{name}-others"
        train(store, first, ",".join(OTHERS), *common, f"optim.epochs={epochs}")
        short = (*common, "data.sessions=1", "optim.epochs=50", "optim.batch=64")
        train(store, folder / f"{name}-alone", NEW, *short)
        train(store, folder / f"{name}-tuned", NEW, *short, f"init.run={first}")
        for kind in ("alone", "tuned"):
            scores[f"{name} {kind}"] = top1(store, folder / f"{name}-{kind}")
    return scores


def main() -> None:
    """Print the table after every seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=25, help="Of the three other subjects.")
    options = parser.parse_args()
    found: list[dict[str, Scores]] = []
    for seed in map(int, options.seeds.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            found.append(one_seed(Path(folder), seed, options.epochs))
        print(f"\n{len(found)} seeds\n\n| run | brain to image | image to brain |\n|---|---|---|")
        for name in found[0]:
            cells = (mean(one[name][d] for one in found) for d in DIRECTIONS)
            print(f"| {name} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")
        for trunk in TRUNKS:
            gaps = [
                " ".join(
                    f"{one[f'{trunk} tuned'][d] - one[f'{trunk} alone'][d]:+.3f}" for one in found
                )
                for d in DIRECTIONS
            ]
            print(f"| {trunk}, tuned - alone | " + " | ".join(gaps) + " |", flush=True)


if __name__ == "__main__":
    main()
